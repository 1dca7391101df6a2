"""XLA around the scorer: compiled ahead of each batch size, in the exported graph.

TensorFlow Serving's CPU binary has XLA and compiles what is marked so (`_XlaMustCompile`), once per
batch size, inside of the first request that has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def compiled(score: Callable[[tf.Tensor], tf.Tensor], *, height: int, width: int) -> Any:
    """Mark a scorer for XLA; nothing is compiled before the first call.

    Args:
        score: uint8 [N,height,width,3] to float32 [N,C].
        height: of the images.
        width: of the images.

    Returns:
        The same as a concrete function.
    """
    spec = tf.TensorSpec([None, height, width, 3], tf.uint8, "images")
    function = tf.function(score, input_signature=[spec], autograph=False, jit_compile=True)
    return function.get_concrete_function()
