"""The engine: SavedModels run by TensorFlow. The only module here that imports it.

A version is its MetaGraph in a Session of its own, as TensorFlow Serving holds it, and not the
functions of `tf.saved_model.load`: TF1 models without functions work, errors name the same nodes,
and a call costs 70 µs less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.saved_model import loader_impl

from protocol.codes import Code
from protocol.messages import model_pb2
from protocol.models import SignatureSpec
from protocol.tensors import Array
from protocol.wire import read_signature
from serving.core import memory
from serving.core.errors import ServingError, invalid_argument
from serving.engine import (
    BatchingParameters,
    EngineOptions,
    no_such_tags,
    no_such_tensor,
    require_saved_model,
)
from serving.engine.ranks import Shapes, checked_shapes, require_ranks

_LARGE_GRAPH_BYTES = 64_000_000
_NODE_SUFFIX = re.compile(r"\n\t \[\[\{\{node .*\}\}\]\]\Z", re.DOTALL)


def create_engine() -> SavedModelEngine:
    """What `import_engine` looks for."""
    return SavedModelEngine()


class SavedModelEngine:
    """TensorFlow as an engine."""

    def load(self, path: str, options: EngineOptions) -> SavedModelServable:
        """Load the SavedModel in directory `path`.

        Raises:
            ServingError: NOT_FOUND without a saved_model.pb or a matching tag set, and whatever
                TensorFlow makes of the rest.
        """
        require_saved_model(path)
        config = _session_config(options, _graph_bytes(Path(path)))
        session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with _engine_errors():
                signatures, shapes = _load_into(session, path, options.tags)
        except BaseException:
            session.close()
            raise
        return SavedModelServable(session, signatures, shapes)

    def queue_set(self, parameters: BatchingParameters) -> BatchQueues:
        """The batch function op's queues."""
        return BatchQueues(parameters)


class SavedModelServable:
    """One loaded version."""

    def __init__(
        self,
        session: tf.compat.v1.Session,
        signatures: Mapping[str, SignatureSpec],
        shapes: Shapes,
    ) -> None:
        self._session = session
        self._signatures = signatures
        self._shapes = shapes
        self._outputs: dict[str, Any] = {}

    @property
    def signatures(self) -> Mapping[str, SignatureSpec]:
        """The signatures of the model, by name."""
        return self._signatures

    def run(
        self,
        feeds: Mapping[str, Array],
        fetches: Sequence[str],
        *,
        timeout_seconds: float | None = None,
    ) -> list[Array]:
        """Run the graph on arrays by tensor name; the fetched arrays in order."""
        require_ranks(self._shapes, feeds)
        inputs = {self._output(name): array for name, array in feeds.items()}
        outputs = [self._output(name) for name in fetches]
        with _engine_errors(), _run_options(timeout_seconds) as options:
            # Session.run() would cast inputs to the graph's types, hide the op's own message
            # behind a stack trace, and cost as much again as the run of a small graph.
            results = pywrap_tf_session.TF_SessionRun_wrapper(
                self._session._session,  # noqa: SLF001 - nothing public runs as TF Serving does
                options,
                inputs,
                outputs,
                [],
                None,
            )
        return [_as_array(result) for result in results]

    def close(self) -> None:
        """Free the session and the graph, whose Python objects refer to each other."""
        self._outputs.clear()
        self._session.close()
        del self._session
        memory.give_back()

    def _output(self, tensor_name: str) -> Any:
        """The C API's handle of "node:0" (or "node"), looked up once."""
        handle = self._outputs.get(tensor_name)
        if handle is None:
            handle = self._outputs[tensor_name] = _find_output(self._session.graph, tensor_name)
        return handle


def _graph_bytes(path: Path) -> int:
    """Of the graph, which holds the weights if it is frozen."""
    file = path / "saved_model.pb"
    return file.stat().st_size if file.is_file() else 0


def _load_into(
    session: tf.compat.v1.Session, path: str, tags: frozenset[str]
) -> tuple[dict[str, SignatureSpec], Shapes]:
    """Import the graph, restore variables if there are any, run the initialisers."""
    with session.graph.as_default():
        loader = loader_impl.SavedModelLoader(path)
        try:
            meta_graph = loader.get_meta_graph_def_from_tags(tags)
        except RuntimeError as error:
            raise no_such_tags(tags) from error
        saver, _ = loader.load_graph(session.graph, tags)
        # As TensorFlow Serving: no variables on disk is no error, whatever the graph holds.
        if Path(path, "variables", "variables.index").is_file():
            loader.restore_variables(session, saver)
        loader.run_init_ops(session, tags)
    definitions = meta_graph.signature_def.items()
    signatures = {name: _signature(definition) for name, definition in definitions}
    return signatures, checked_shapes(meta_graph.graph_def, signatures)


def _session_config(options: EngineOptions, graph_bytes: int) -> config_pb2.ConfigProto:
    config = config_pb2.ConfigProto(
        intra_op_parallelism_threads=options.intra_op_threads,
        inter_op_parallelism_threads=options.inter_op_threads,
    )
    # Each signature's part of the graph is copied for its executor anyway; without this the whole
    # graph is held once more, and loading a frozen VGG16 takes twice the memory. Not for small
    # graphs: errors inside of functions would name the call, where TensorFlow Serving names the op.
    config.graph_options.place_pruned_graph = graph_bytes > _LARGE_GRAPH_BYTES
    if options.is_bfloat16:
        rewrites = config.graph_options.rewrite_options
        rewrites.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON
    return config


@contextmanager
def _run_options(timeout_seconds: float | None) -> Iterator[Any]:
    """RunOptions as the C API's buffer, which nobody frees for us; None without a deadline."""
    if timeout_seconds is None:
        yield None
        return
    timeout_ms = max(1, round(timeout_seconds * 1000))
    options = config_pb2.RunOptions(timeout_in_ms=timeout_ms)
    buffer = pywrap_tf_session.TF_NewBufferFromString(options.SerializeToString())
    try:
        yield buffer
    finally:
        pywrap_tf_session.TF_DeleteBuffer(buffer)


@contextmanager
def _engine_errors() -> Iterator[None]:
    """Translate TensorFlow's errors, once."""
    try:
        yield
    except tf.errors.OpError as error:
        raise ServingError(Code.of(error.error_code), error.message) from error
    except OSError as error:
        raise ServingError(Code.NOT_FOUND, str(error)) from error
    except (ValueError, TypeError, KeyError) as error:
        raise invalid_argument(str(error)) from error


def _find_output(graph: tf.Graph, tensor_name: str) -> Any:
    node_name, _, index = tensor_name.partition(":")
    try:
        node = graph.get_operation_by_name(node_name)
    except KeyError:
        raise no_such_tensor(tensor_name) from None
    if int(index or 0) >= len(node.outputs):
        raise ServingError(
            Code.OUT_OF_RANGE,
            f"Node '{node_name}' (type: '{node.type}', num of outputs: {len(node.outputs)}) does "
            f"not have output {index or 0}",
        )
    return node.outputs[int(index or 0)]._as_tf_output()  # noqa: SLF001 - as in run()


def _as_array(result: Any) -> Array:
    """Scalars come back as Python or NumPy scalars, bytes among them."""
    if isinstance(result, np.ndarray):
        return result
    return np.array(result, np.object_ if isinstance(result, bytes) else None)


def _signature(definition: Any) -> SignatureSpec:
    """TensorFlow's SignatureDef; ours is the same bytes."""
    return read_signature(model_pb2.SignatureDef.FromString(definition.SerializeToString()))


class BatchQueues:
    """TensorFlow's batch function op, one per signature, in a session that runs nothing else."""

    def __init__(self, parameters: BatchingParameters) -> None:
        parameters.check()
        self._parameters = parameters
        self._graph = tf.Graph()
        # Threads of its own: they wait in `process` for runs that need TensorFlow's common ones.
        config = config_pb2.ConfigProto(
            use_per_session_threads=True,
            inter_op_parallelism_threads=parameters.num_batch_threads + 1,
            intra_op_parallelism_threads=1,
        )
        self._session = tf.compat.v1.Session(graph=self._graph, config=config)

    def add(self, process: Callable[[Array], None]) -> BatchQueue:
        """A queue that hands its batches of tickets [N, 2] to `process`."""
        parameters = self._parameters

        def echo(tickets: Array) -> Array:
            process(tickets)
            return tickets

        @tf.nondifferentiable_batch_function(  # type: ignore[untyped-decorator]  # TensorFlow is
            num_batch_threads=parameters.num_batch_threads,
            max_batch_size=parameters.max_batch_size,
            batch_timeout_micros=parameters.batch_timeout_micros,
            allowed_batch_sizes=list(parameters.allowed_batch_sizes) or None,
            max_enqueued_batches=parameters.max_enqueued_batches,
            autograph=False,
            enable_large_batch_splitting=parameters.enable_large_batch_splitting,
        )
        def batched(tickets: Any) -> Any:
            return tf.numpy_function(echo, [tickets], tf.int64)

        with self._graph.as_default(), tf.name_scope(f"queue_{len(self._graph.get_operations())}"):
            tickets = tf.compat.v1.placeholder(tf.int64, [None, 2], "tickets")
            done = batched(tickets)
        return BatchQueue(SavedModelServable(self._session, {}, {}), tickets.name, done.name)

    def close(self) -> None:
        """Free the queues."""
        self._session.close()
        del self._session, self._graph


@dataclass(frozen=True, slots=True)
class BatchQueue:
    """One queue: where its tickets go in and come out."""

    _runner: SavedModelServable
    _tickets: str
    _done: str

    def wait(self, tickets: Array, timeout_seconds: float | None) -> None:
        """Queue tickets and wait until their rows are through.

        Raises:
            ServingError: INVALID_ARGUMENT for too many rows, UNAVAILABLE when the queue is full,
                DEADLINE_EXCEEDED.
        """
        try:
            self._runner.run(
                {self._tickets: tickets}, [self._done], timeout_seconds=timeout_seconds
            )
        except ServingError as error:
            # The op that refuses is ours, not the model's: its name would only mislead.
            raise ServingError(error.code, _NODE_SUFFIX.sub("", error.message)) from error
