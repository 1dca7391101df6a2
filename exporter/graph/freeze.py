"""Variables to constants: half again the speed, at the price of memory and of a 2 GB limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import tensorflow as tf
from tensorflow.core.framework import graph_pb2

# What tf.lite and TF-TRT freeze with. The function of the same module that does both steps also
# makes a function of the result, which is two more copies of the weights.
from tensorflow.python.framework.convert_to_constants import (
    _FunctionConverterDataInEager,
    _replace_variables_by_constants,
)

from exporter.errors import FailedError, RefusedError, first_line
from exporter.graph.grouped_convolutions import run_natively
from exporter.graph.quiet import quiet_native_stderr
from exporter.options import Freeze

# A protobuf ends at 2 GiB; the rest of the graph needs room too.
MAX_FROZEN_BYTES: Final = 1_900_000_000


def trace_as_it_is(score: Callable[[tf.Tensor], tf.Tensor], *, height: int, width: int) -> Any:
    """The concrete function of uint8 [N,height,width,3], with whatever XLA is in it."""
    spec = tf.TensorSpec([None, height, width, 3], tf.uint8, "images")
    return tf.function(score, input_signature=[spec], autograph=False).get_concrete_function()


@dataclass(slots=True)
class Frozen:
    """A network whose weights are constants."""

    _graph_def: graph_pb2.GraphDef | None
    input_name: str
    """Of the uint8 images [N,H,W,3], for example "images:0"."""
    output_name: str
    """Of the float32 probabilities [N,C]."""
    _image_shape: tuple[int | None, ...]

    def as_function(self) -> Any:
        """The same as a function of pixels: one more copy of the weights while it lives."""

        def call(images: tf.Tensor) -> Any:
            return tf.graph_util.import_graph_def(
                self._graph_def, {self.input_name: images}, [self.output_name]
            )

        shape = self._image_shape
        wrapped = tf.compat.v1.wrap_function(call, [tf.TensorSpec(shape, tf.uint8, "images")])
        return lambda images: wrapped(images)[0]

    def take(self) -> graph_pb2.GraphDef:
        """The graph, once: it is as large as the weights, and two holders would keep it twice."""
        graph_def, self._graph_def = self._graph_def, None
        assert graph_def is not None, "taken already"  # noqa: S101 - a slip of ours, nobody's input
        return graph_def


def trace(score: Callable[[tf.Tensor], tf.Tensor], *, height: int, width: int) -> tuple[Any, int]:
    """Trace a scorer and sum up its weights.

    Returns:
        The concrete function of uint8 [N,height,width,3], and the bytes of its variables.
    """
    concrete = run_natively(trace_as_it_is(score, height=height, width=width))
    weight_bytes = sum(
        int(variable.shape.num_elements()) * variable.dtype.size for variable in concrete.variables
    )
    return concrete, weight_bytes


def require_freezable(weight_bytes: int, choice: Freeze) -> None:
    """Say early what `freeze` would say late.

    Raises:
        RefusedError: `always`, but too large.
    """
    obstacle = _too_large(weight_bytes)
    if choice == "always" and obstacle:
        raise RefusedError(f"{obstacle}; use --freeze auto", step="freeze")


def freeze(concrete: Any, weight_bytes: int, choice: Freeze) -> Frozen | None:
    """Fold the variables in, if that is wanted and possible.

    Returns:
        The frozen network; None: it keeps its variables.

    Raises:
        RefusedError: `always`, but too large, or not all of it are variables.
    """
    if choice == "never":
        return None
    obstacle = _too_large(weight_bytes)
    if obstacle is None:
        frozen = _to_constants(concrete)
        if frozen is not None:
            return frozen
        obstacle = "the graph holds lookup tables or the like, which are no constants"
    if choice == "always":
        raise RefusedError(f"{obstacle}; use --freeze auto", step="freeze")
    return None


def already_frozen(concrete: Any) -> Frozen:
    """A concrete function that captures nothing, as it is.

    `freeze` would inline the calls that XLA is to compile, and their mark would be lost.
    """
    assert not concrete.captured_inputs, "it has variables"  # noqa: S101 - a slip of ours
    shape = concrete.structured_input_signature[0][0].shape.as_list()
    names = concrete.inputs[0].name, concrete.outputs[0].name
    return Frozen(concrete.graph.as_graph_def(), *names, tuple(shape))


def _too_large(weight_bytes: int) -> str | None:
    if weight_bytes <= MAX_FROZEN_BYTES:
        return None
    return f"{weight_bytes / 1e9:.1f} GB of weights do not fit into a frozen graph (2 GB)"


def _to_constants(concrete: Any) -> Frozen | None:
    try:
        with quiet_native_stderr():
            data = _FunctionConverterDataInEager(
                func=concrete, lower_control_flow=True, aggressive_inlining=False
            )
        graph_def, converted = _replace_variables_by_constants(converter_data=data)
    except Exception as error:
        reason = first_line(error)
        raise FailedError(f"the graph cannot be frozen: {reason}; use --freeze never") from error
    captured = concrete.graph.internal_captures
    folded = {captured[index].name for index in converted}
    inputs = [tensor.name for tensor in concrete.inputs if tensor.name not in folded]
    if len(inputs) != 1:
        return None  # what could not be folded in would have to be fed
    shape = concrete.structured_input_signature[0][0].shape.as_list()
    return Frozen(graph_def, inputs[0], concrete.outputs[0].name, tuple(shape))
