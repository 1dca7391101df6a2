"""Variables to constants: half again the speed, at the price of memory and of a 2 GB limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,  # what tf.lite and TF-TRT use; there is no public name
)

from exporter.errors import FailedError, RefusedError, first_line
from exporter.graph.grouped_convolutions import run_natively
from exporter.graph.quiet import quiet_native_stderr
from exporter.options import Freeze

# A protobuf ends at 2 GiB; the rest of the graph needs room too.
MAX_FROZEN_BYTES: Final = 1_900_000_000


def trace(score: Callable[[tf.Tensor], tf.Tensor], *, height: int, width: int) -> tuple[Any, int]:
    """Trace a scorer and sum up its weights.

    Returns:
        The concrete function of uint8 [N,height,width,3], and the bytes of its variables.
    """
    spec = tf.TensorSpec([None, height, width, 3], tf.uint8, "images")
    function = tf.function(score, input_signature=[spec], autograph=False)
    concrete = run_natively(function.get_concrete_function())
    weight_bytes = sum(
        int(variable.shape.num_elements()) * variable.dtype.size for variable in concrete.variables
    )
    return concrete, weight_bytes


def freeze(
    concrete: Any, weight_bytes: int, choice: Freeze
) -> tuple[Callable[[tf.Tensor], tf.Tensor], bool]:
    """Fold the variables in, if that is wanted and possible.

    Returns:
        uint8 [N,H,W,3] to float32 [N,C], and whether it is frozen.

    Raises:
        RefusedError: `always`, but too large, or not all of it are variables.
    """
    if choice == "never":
        return concrete, False
    obstacle = _too_large(weight_bytes)
    if obstacle is None:
        frozen = _to_constants(concrete)
        if frozen is not None:
            return frozen, True
        obstacle = "the graph holds lookup tables or the like, which are no constants"
    if choice == "always":
        raise RefusedError(f"{obstacle}; use --freeze auto")
    return concrete, False


def _too_large(weight_bytes: int) -> str | None:
    if weight_bytes <= MAX_FROZEN_BYTES:
        return None
    return f"{weight_bytes / 1e9:.1f} GB of weights do not fit into a frozen graph (2 GB)"


def _to_constants(concrete: Any) -> Callable[[tf.Tensor], tf.Tensor] | None:
    try:
        with quiet_native_stderr():
            frozen = convert_variables_to_constants_v2(concrete)
    except Exception as error:
        reason = first_line(error)
        raise FailedError(f"the graph cannot be frozen: {reason}; use --freeze never") from error
    if len(frozen.inputs) != 1:
        return None  # what could not be folded in would have to be fed

    def call(images: tf.Tensor) -> tf.Tensor:
        return frozen(images)[0]

    return call
