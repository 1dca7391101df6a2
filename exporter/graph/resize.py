"""`pixels.decode`'s decoding and resize, as TensorFlow ops: for files that go to the model server.

It follows `contract.rendering` step by step, down to the JPEG scale that the decoder is told: each
step shows in the probabilities. Pixels of JPEG files and plain PNG files are the same; EXIF,
transparency, palettes and 16 bits are not looked at here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import tensorflow as tf

from contract.image_spec import Filter, ImageSpec
from exporter.graph.resample import resample

_JPEG_MAGIC: Final = b"\xff\xd8\xff"
_JPEG_RATIOS: Final = (1, 2, 4, 8)
_ROUNDING: Final = 1e-6  # a whole level less a rounding error is still that level
_MIN_ENLARGED: Final = 2
"""A JPEG is decoded at no less than twice its target."""


def decode_and_fit(data: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """One file (scalar string: JPEG, PNG, GIF or BMP) to uint8 [spec.height, spec.width, 3]."""
    image, full = tf.cond(
        tf.equal(tf.strings.substr(data, 0, len(_JPEG_MAGIC)), _JPEG_MAGIC),
        lambda: _decode_jpeg(data, spec),
        lambda: _with_size(tf.io.decode_image(data, channels=3, expand_animations=False)),
    )
    image.set_shape([None, None, 3])
    fitted = _fit(image, tf.cast(full, tf.float64), spec)
    return tf.ensure_shape(fitted, [spec.height, spec.width, 3])


def _decode_jpeg(data: tf.Tensor, spec: ImageSpec) -> tuple[tf.Tensor, tf.Tensor]:
    """The image at the scale of `contract.rendering`, and its full size."""
    full = tf.io.extract_jpeg_shape(data)[:2]

    def decode(ratio: int) -> tf.Tensor:
        # decode_image takes the fast DCT: 0.9 grey levels off Pillow's pixels, this one 0.
        return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE", ratio=ratio)

    if not spec.antialias or spec.filter == "nearest":
        return decode(1), full
    enlarged = tf.maximum(1, tf.cast(tf.round(_MIN_ENLARGED * _scaled(full, spec)), tf.int32))
    most = tf.reduce_min(full // enlarged)
    index = tf.reduce_sum(tf.cast(most >= tf.constant(_JPEG_RATIOS[1:]), tf.int32))
    branches = [lambda ratio=ratio: decode(ratio) for ratio in _JPEG_RATIOS]
    return tf.switch_case(index, branches), full


def _scaled(full: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """Height and width of the whole image where the part that is shown has the target's size."""
    target = tf.constant([spec.height, spec.width], tf.float64)
    size = tf.cast(full, tf.float64)
    if spec.fit == "stretch":
        return target
    if spec.fit == "pad":
        return size * tf.reduce_min(target / size)
    return size / (spec.crop_fraction * tf.reduce_min(size / target))


def _with_size(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return image, tf.shape(image)[:2]


def _fit(image: tf.Tensor, full: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """Resize to the target; `full` (height, width; float64) is the size before a JPEG's scaling."""
    size = tf.constant([spec.height, spec.width])
    target = tf.cast(size, tf.float64)
    shape = tf.cast(tf.shape(image)[:2], tf.float64)
    if spec.fit == "pad":
        return _pad(image, full, target, spec)
    if spec.fit == "center_crop":
        box = target * (spec.crop_fraction * tf.reduce_min(shape / target))
        return _resize(image, size, (shape - box) / 2, box, spec)
    return _resize(image, size, tf.zeros([2], tf.float64), shape, spec)


def _pad(image: tf.Tensor, full: tf.Tensor, target: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    inner = tf.clip_by_value(tf.round(full * tf.reduce_min(target / full)), 1.0, target)
    inner_size = tf.cast(inner, tf.int32)
    box = tf.cast(tf.shape(image)[:2], tf.float64)
    small = _resize(image, inner_size, tf.zeros([2], tf.float64), box, spec)
    before = (tf.cast(target, tf.int32) - inner_size) // 2
    after = tf.cast(target, tf.int32) - inner_size - before
    paddings = tf.stack([before, after], axis=1)
    channels = [
        tf.pad(small[:, :, channel], paddings, constant_values=spec.background[channel])
        for channel in range(3)
    ]
    return tf.stack(channels, axis=-1)


def _resize(
    image: tf.Tensor, size: tf.Tensor, corner: tf.Tensor, box: tf.Tensor, spec: ImageSpec
) -> tf.Tensor:
    """Resize the rectangle at `corner` (y, x) of `box` (height, width; float64) to `size`."""
    if spec.filter == "nearest" or not spec.antialias:
        return _sample(image, size, corner, box, _TAPS[spec.filter])
    return resample(image, size, corner, box, spec.filter)


def _sample(
    image: tf.Tensor, size: tf.Tensor, corner: tf.Tensor, box: tf.Tensor, taps: _Taps
) -> tf.Tensor:
    """Point by point: each from the few pixels around it. Fractions are cut off at the end."""
    sampled = image
    for axis in (1, 0):
        step = box[axis] / tf.cast(size[axis], tf.float64)
        # Added up as Pillow's nearest does it: what lies on an edge is decided by its rounding.
        first = corner[axis] + step * 0.5
        steps = tf.concat([[first], tf.fill([size[axis] - 1], step)], axis=0)
        sampled = taps(sampled, tf.cumsum(steps), axis)
    return sampled if taps is _nearest else _to_uint8(sampled + _ROUNDING)


def _nearest(image: tf.Tensor, centres: tf.Tensor, axis: int) -> tf.Tensor:
    return _at(image, tf.cast(centres, tf.int32), axis)


def _bilinear(image: tf.Tensor, centres: tf.Tensor, axis: int) -> tf.Tensor:
    first, d = _split(centres, axis)
    return _wide(image, first, axis) * (1 - d) + _wide(image, first + 1, axis) * d


def _bicubic(image: tf.Tensor, centres: tf.Tensor, axis: int) -> tf.Tensor:
    """Pillow's `transform` has -1 for the cubic's coefficient, its `resize` (and Keys) -0.5."""
    first, d = _split(centres, axis)
    outer, inner = d * (1 - d) * (1 - d), d * d * (1 - d)
    return (
        _wide(image, first, axis) * (1 - 2 * d * d + d * d * d)
        + _wide(image, first + 1, axis) * (d + inner)
        - _wide(image, first - 1, axis) * outer
        - _wide(image, first + 2, axis) * inner
    )


def _split(centres: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The pixel before each point, and how far behind its middle the point lies."""
    first = tf.floor(centres - 0.5)
    return tf.cast(first, tf.int32), tf.reshape(
        centres - 0.5 - first, [1, -1, 1] if axis else [-1, 1, 1]
    )


def _at(image: tf.Tensor, index: tf.Tensor, axis: int) -> tf.Tensor:
    return tf.gather(image, tf.clip_by_value(index, 0, tf.shape(image)[axis] - 1), axis=axis)


def _wide(image: tf.Tensor, index: tf.Tensor, axis: int) -> tf.Tensor:
    return tf.cast(_at(image, index, axis), tf.float64)


def _to_uint8(levels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(levels, 0.0, 255.0), tf.uint8)


_Taps = Callable[[tf.Tensor, tf.Tensor, int], tf.Tensor]
_TAPS: Final[dict[Filter, _Taps]] = {
    "nearest": _nearest,
    "bilinear": _bilinear,
    "bicubic": _bicubic,
}
