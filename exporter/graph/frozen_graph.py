"""A frozen network in the graph of the five signatures, with one copy of the weights.

               pixels ─► unpack ─┐
                                 ├─► concat ─► images ─► network ─► probabilities ─► top k, labels
    image_bytes ─► decode ───────┘

The three inputs are placeholders with defaults: whoever feeds one leaves the others at their
defaults of no images, so that every signature runs through the same nodes. A SavedModel of
TensorFlow 2 would hold the weights in a function per signature and copy them some thirty times
while it is traced and written; this graph is imported once and written once. A model server reads
both alike: it runs sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.framework import meta_graph  # the list of ops that a reader needs

from contract import signatures as names
from exporter.errors import FailedError, first_line
from exporter.graph.freeze import Frozen
from exporter.graph.functions import Head, Outputs, card_outputs
from exporter.graph.quiet import quiet_native_stderr
from exporter.graph.serving_graph import Pixels, Probabilities

_SAVED_MODEL_SCHEMA_VERSION: Final = 1
_PREDICT: Final = tf.compat.v1.saved_model.signature_constants.PREDICT_METHOD_NAME


class FrozenGraph:
    """One graph and, while it is asked, one session."""

    is_frozen: Final = True

    def __init__(self, frozen: Frozen, head: Head) -> None:
        """Import the network; `frozen` is emptied, so that its weights are not held twice."""
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._build(frozen, head)
        self._session = tf.compat.v1.Session(graph=self._graph)

    def score(self, images: Pixels) -> Probabilities:
        """As `ServingGraph.score`."""
        answers: Probabilities = self._run(self._probabilities, {self._images: images})
        return answers

    def decode(self, files: Sequence[bytes]) -> Pixels:
        """As `ServingGraph.decode`."""
        return np.stack([self._run(self._decoded, {self._files: [file]})[0] for file in files])

    def save(self, version_path: Path, card_json: str) -> None:
        """As `ServingGraph.save`; the session is closed first."""
        self._session.close()
        with self._graph.as_default():
            query = tf.compat.v1.placeholder(tf.int32, [None], names.QUERY)
            card = card_outputs(query, card_json)
            self._signatures[names.MODEL_CARD] = _signature({names.QUERY: query}, card)
        try:
            content = self._saved_model().SerializeToString(deterministic=True)
        except Exception as error:
            raise FailedError(f"cannot write the SavedModel: {first_line(error)}") from error
        version_path.mkdir(parents=True, exist_ok=True)
        (version_path / "saved_model.pb").write_bytes(content)

    def _build(self, frozen: Frozen, head: Head) -> None:
        none = tf.constant([], tf.string)
        placeholder = tf.compat.v1.placeholder_with_default
        pixels = placeholder(none, [None], names.PIXELS)
        self._files = placeholder(none, [None], names.IMAGE_BYTES)
        self._decoded = head.decode(self._files)
        decoded = tf.concat([head.unpack(pixels), self._decoded], axis=0)
        shape = [None, head.image.height, head.image.width, 3]
        self._images = placeholder(decoded, shape, names.IMAGES)
        (scores,) = tf.graph_util.import_graph_def(
            frozen.take(),
            input_map={frozen.input_name: self._images},
            return_elements=[frozen.output_name],
            name="network",
        )
        self._probabilities = tf.identity(scores, names.PROBABILITIES)
        top_k = head.top_k(self._probabilities)
        self._signatures = {
            names.SERVING_DEFAULT: _signature(
                {names.IMAGES: self._images}, {names.PROBABILITIES: self._probabilities}
            ),
            names.TOP_K: _signature({names.IMAGES: self._images}, top_k),
            names.TOP_K_RAW: _signature({names.PIXELS: pixels}, top_k),
            names.TOP_K_ENCODED: _signature({names.IMAGE_BYTES: self._files}, top_k),
        }

    def _run(self, fetch: tf.Tensor, feeds: dict[tf.Tensor, Any]) -> Any:
        with quiet_native_stderr():
            return self._session.run(fetch, feeds)

    def _saved_model(self) -> saved_model_pb2.SavedModel:
        saved = saved_model_pb2.SavedModel(saved_model_schema_version=_SAVED_MODEL_SCHEMA_VERSION)
        meta = saved.meta_graphs.add()
        meta.graph_def.MergeFrom(self._graph.as_graph_def())
        meta.meta_info_def.tags.append(tf.saved_model.SERVING)
        meta.meta_info_def.tensorflow_version = tf.version.VERSION
        meta.meta_info_def.tensorflow_git_version = tf.version.GIT_VERSION
        ops = meta_graph.stripped_op_list_for_graph(meta.graph_def)
        meta.meta_info_def.stripped_op_list.MergeFrom(ops)
        for name, signature in self._signatures.items():
            meta.signature_def[name].CopyFrom(signature)
        return saved


def _signature(inputs: Outputs, outputs: Outputs) -> meta_graph_pb2.SignatureDef:
    return meta_graph_pb2.SignatureDef(
        inputs={name: _tensor_info(tensor) for name, tensor in inputs.items()},
        outputs={name: _tensor_info(tensor) for name, tensor in outputs.items()},
        method_name=_PREDICT,
    )


def _tensor_info(tensor: tf.Tensor) -> meta_graph_pb2.TensorInfo:
    return meta_graph_pb2.TensorInfo(
        name=tensor.name, dtype=tensor.dtype.as_datatype_enum, tensor_shape=tensor.shape.as_proto()
    )
