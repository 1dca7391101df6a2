"""`pixels.decode`'s resize, as TensorFlow ops: for files that reach the model server directly.

Close to Pillow, not equal: rounding, the JPEG decoder's build and EXIF differ, so `top_k_encoded`
has its own line in the parity report.
"""

from __future__ import annotations

from typing import Final

import tensorflow as tf

from contract.image_spec import Filter, ImageSpec

_KERNELS: Final[dict[Filter, str]] = {
    "bilinear": "triangle",
    "bicubic": "keyscubic",
    "lanczos": "lanczos3",
}

_JPEG_MAGIC: Final = b"\xff\xd8\xff"


def decode_and_fit(data: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    """One file (scalar string: JPEG, PNG, GIF or BMP) to uint8 [spec.height, spec.width, 3]."""
    image = tf.cond(
        tf.equal(tf.strings.substr(data, 0, len(_JPEG_MAGIC)), _JPEG_MAGIC),
        # decode_image takes the fast DCT: 0.9 grey levels off Pillow's pixels, this one 0.
        lambda: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(data, channels=3, expand_animations=False),
    )
    image.set_shape([None, None, 3])
    fitted = _fit(image, spec)
    return tf.ensure_shape(fitted, [spec.height, spec.width, 3])


def _fit(image: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    size = tf.constant([spec.height, spec.width])
    full = tf.cast(tf.shape(image)[:2], tf.float32)
    target = tf.constant([spec.height, spec.width], tf.float32)
    if spec.fit == "pad":
        return _pad(image, full, target, spec)
    if spec.fit == "center_crop":
        box = target * spec.crop_fraction * tf.reduce_min(full / target)
        return _resize(image, size, (full - box) / 2, box, spec)
    return _resize(image, size, tf.zeros([2]), full, spec)


def _pad(image: tf.Tensor, full: tf.Tensor, target: tf.Tensor, spec: ImageSpec) -> tf.Tensor:
    inner = tf.clip_by_value(tf.round(full * tf.reduce_min(target / full)), 1.0, target)
    inner_size = tf.cast(inner, tf.int32)
    small = _resize(image, inner_size, tf.zeros([2]), full, spec)
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
    """Resize the rectangle at `corner` (y, x; float) of `box` (height, width; float) to `size`."""
    scale = tf.cast(size, tf.float32) / box
    if spec.filter == "nearest":
        return _nearest(image, size, corner, scale)
    resized = tf.raw_ops.ScaleAndTranslate(
        images=tf.cast(image[tf.newaxis], tf.float32),
        size=size,
        scale=scale,
        translation=-corner * scale,
        kernel_type=_KERNELS[spec.filter],
        antialias=spec.antialias,
    )[0]
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def _nearest(image: tf.Tensor, size: tf.Tensor, corner: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    limits = tf.shape(image)[:2] - 1
    rows, columns = (
        tf.minimum(
            tf.cast(corner[i] + (tf.range(size[i], dtype=tf.float32) + 0.5) / scale[i], tf.int32),
            limits[i],
        )
        for i in range(2)
    )
    return tf.gather(tf.gather(image, rows), columns, axis=1)
