"""Colour pictures for networks that take grey ones: in the graph, and by Pillow as the reference.

Both sides give the luma of ITU-R BT.601 in 16-bit fixed point, which is what Pillow's mode L is:
https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.Image.convert
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image

_WEIGHTS: Final = (19595, 38470, 7471)  # 0.299, 0.587 and 0.114 of 65536
_HALF: Final = 1 << 15
_BITS: Final = 16


def in_graph(images: tf.Tensor) -> tf.Tensor:
    """uint8 [N,H,W,3], RGB, to uint8 [N,H,W,1]."""
    weighted = tf.cast(images, tf.int32) * tf.constant(_WEIGHTS)
    total = tf.reduce_sum(weighted, axis=-1, keepdims=True) + _HALF
    return tf.cast(tf.bitwise.right_shift(total, tf.constant(_BITS)), tf.uint8)


def reference(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The same by Pillow."""
    grey = [np.asarray(Image.fromarray(image).convert("L")) for image in images]
    return np.stack(grey)[..., np.newaxis]
