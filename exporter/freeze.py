"""Variables to constants: half again the speed, at the price of memory and of a 2 GB limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,  # what tf.lite and TF-TRT use; there is no public name
)

from exporter.errors import RefusedError, first_line
from exporter.quiet import quiet_native_stderr

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.choices import Freeze

# A protobuf ends at 2 GiB; the rest of the graph needs room too.
MAX_FROZEN_BYTES: Final = 1_900_000_000


def trace(
    classify: Callable[[tf.Tensor], tf.Tensor], *, height: int, width: int
) -> tuple[Any, int]:
    """Trace the classifier and sum up its weights.

    Returns:
        The concrete function of uint8 [N,height,width,3], and the bytes of its variables.
    """
    spec = tf.TensorSpec([None, height, width, 3], tf.uint8, "images")
    function = tf.function(classify, input_signature=[spec], autograph=False)
    concrete = function.get_concrete_function()
    weight_bytes = sum(
        int(variable.shape.num_elements()) * variable.dtype.size for variable in concrete.variables
    )
    return concrete, weight_bytes


def should_freeze(choice: Freeze, weight_bytes: int) -> bool:
    """Decide by size.

    Raises:
        RefusedError: `always`, but too large.
    """
    fits = weight_bytes <= MAX_FROZEN_BYTES
    if choice == "always" and not fits:
        raise RefusedError(
            f"{weight_bytes / 1e9:.1f} GB of weights do not fit into a frozen graph (2 GB); "
            "use --freeze auto"
        )
    return choice != "never" and fits


def freeze(concrete: Any) -> Callable[[tf.Tensor], tf.Tensor]:
    """Fold the variables in.

    Raises:
        RefusedError: something but variables is held outside the graph (a lookup table, say).
    """
    try:
        with quiet_native_stderr():
            frozen = convert_variables_to_constants_v2(concrete)
    except Exception as error:
        raise RefusedError(
            f"the graph cannot be frozen ({first_line(error)}); use --freeze never"
        ) from error
    if frozen.captured_inputs:
        raise RefusedError("the graph keeps tables or other resources; use --freeze never")

    def call(images: tf.Tensor) -> tf.Tensor:
        return frozen(images)[0]

    return call
