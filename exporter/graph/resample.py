"""Pillow's `Image.resize`, as TensorFlow ops and bit by bit.

A grey level here and there is enough to move a probability by 0.05 in a deep network, so this is
Pillow's own arithmetic: one axis after the other, weights as integers of 22 fractional bits.
`tf.image.resize` and ScaleAndTranslate compute in float32 and are a level off where halves meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import tensorflow as tf

from contract.image_spec import Filter

_FRACTION_BITS: Final = 22
_HALF: Final = 1 << (_FRACTION_BITS - 1)


def resample(
    image: tf.Tensor, size: tf.Tensor, corner: tf.Tensor, box: tf.Tensor, name: Filter
) -> tf.Tensor:
    """Resize a rectangle of an image.

    Args:
        image: uint8 [H,W,3].
        size: int32 [2], the result's height and width.
        corner: float64 [2], y and x of the rectangle.
        box: float64 [2], its height and width.
        name: bilinear, bicubic or lanczos.

    Returns:
        uint8 [size[0],size[1],3].
    """
    support, kernel = _KERNELS[name]
    # Pillow takes the box as float32 edges.
    start, end = (tf.cast(tf.cast(each, tf.float32), tf.float64) for each in (corner, corner + box))

    def passes(axes: tuple[int, int]) -> tf.Tensor:
        resized = image
        for axis in axes:
            length = tf.shape(resized)[axis]
            edges = (start[axis], end[axis])
            first, weights = _weights(size[axis], edges, length, support, kernel)
            resized = _weighted(resized, first, weights, axis)
        return resized

    excess = tf.shape(image)[:2] - size
    is_tall = excess[0] > tf.maximum(2 * excess[1], 0)  # Pillow 13: much is left out of the height
    return tf.cond(is_tall, lambda: passes((0, 1)), lambda: passes((1, 0)))


def _weights(
    size: tf.Tensor,
    edges: tuple[tf.Tensor, tf.Tensor],
    length: tf.Tensor,
    support: int,
    kernel: Callable[[tf.Tensor], tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """For each result the first pixel, int32 [size], and the taps' weights, int32 [taps,size]."""
    start, end = edges
    scale = (end - start) / tf.cast(size, tf.float64)
    widened = tf.maximum(scale, 1.0)
    reach = support * widened
    centres = start + (tf.range(size, dtype=tf.float64) + 0.5) * scale
    first = tf.maximum(tf.cast(centres - reach + 0.5, tf.int32), 0)
    behind = tf.minimum(tf.cast(centres + reach + 0.5, tf.int32), length)
    taps = tf.cast(tf.math.ceil(reach), tf.int32) * 2 + 1
    at = first + tf.range(taps)[:, tf.newaxis]
    values = kernel((tf.cast(at, tf.float64) - centres + 0.5) * (1 / widened))
    values = tf.where(at < behind, values, tf.zeros([], tf.float64))
    values *= (1 << _FRACTION_BITS) / tf.reduce_sum(values, axis=0)
    return first, tf.cast(values + 0.5 * tf.sign(values), tf.int32)


def _weighted(image: tf.Tensor, first: tf.Tensor, weights: tf.Tensor, axis: int) -> tf.Tensor:
    """Sum the taps up, one after the other: all at once would take a large image many times."""
    last = tf.shape(image)[axis] - 1
    shape = [1, -1, 1] if axis else [-1, 1, 1]

    def add(tap: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.gather(image, tf.minimum(first + tap, last), axis=axis)
        return tap + 1, total + tf.cast(pixels, tf.int32) * tf.reshape(weights[tap], shape)

    start = tf.gather(tf.zeros_like(image, tf.int32), tf.zeros_like(first), axis=axis) + _HALF
    _, total = tf.while_loop(
        lambda tap, _: tap < tf.shape(weights)[0], add, (tf.constant(0), start)
    )
    levels = tf.bitwise.right_shift(total, tf.constant(_FRACTION_BITS))
    return tf.cast(tf.clip_by_value(levels, 0, 255), tf.uint8)


def _triangle(x: tf.Tensor) -> tf.Tensor:
    return tf.maximum(1.0 - tf.abs(x), 0.0)


def _cubic(x: tf.Tensor) -> tf.Tensor:
    x = tf.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return tf.where(x < 1, near, tf.where(x < 2, far, tf.zeros_like(x)))  # noqa: PLR2004


def _lanczos(x: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.abs(x) < 3, _sinc(x) * _sinc(x / 3), tf.zeros_like(x))  # noqa: PLR2004


def _sinc(x: tf.Tensor) -> tf.Tensor:
    angle = x * math.pi
    return tf.where(x == 0, tf.ones_like(x), tf.math.divide_no_nan(tf.sin(angle), angle))


_KERNELS: Final[dict[Filter, tuple[int, Callable[[tf.Tensor], tf.Tensor]]]] = {
    "bilinear": (1, _triangle),
    "bicubic": (2, _cubic),
    "lanczos": (3, _lanczos),
}
