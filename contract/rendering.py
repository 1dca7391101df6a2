"""From an opened image to the model's pixels: JPEG scale, RGB, fit, upright.

The stored frame is resized and the small result turned upright: the same picture, cheaper.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np
from PIL import Image

from contract.opening import JPEG_FORMATS

Size = tuple[int, int]
Box = tuple[float, float, float, float]

_FILTERS: Final = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_EXIF_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_SIDES: Final = frozenset({5, 6, 7, 8})


class Spec(Protocol):
    """What a model wants its pixels to look like: `ImageSpec` says what each field means.

    A protocol, as the gateway's decode workers have no use for pydantic.
    """

    @property
    def height(self) -> int:
        """Of the model's input, in pixels."""
        ...

    @property
    def width(self) -> int:
        """Of the model's input, in pixels."""
        ...

    @property
    def fit(self) -> str:
        """stretch, center_crop or pad."""
        ...

    @property
    def crop_fraction(self) -> float:
        """The part that center_crop keeps."""
        ...

    @property
    def filter(self) -> str:
        """nearest, bilinear, bicubic or lanczos."""
        ...

    @property
    def antialias(self) -> bool:
        """Widen the filter when shrinking."""
        ...

    @property
    def exif(self) -> bool:
        """Turn the image upright."""
        ...

    @property
    def background(self) -> tuple[int, int, int]:
        """RGB behind transparent pixels and in the padding."""
        ...


def prepare(image: Image.Image, spec: Spec) -> tuple[int, Size]:
    """EXIF orientation and target of the stored frame; a JPEG is told at which scale to decode."""
    orientation = _orientation(image) if spec.exif else 1
    target = (spec.width, spec.height)
    stored_target = (target[1], target[0]) if orientation in _SWAPS_SIDES else target
    _scale_jpeg(image, stored_target, spec)
    return orientation, stored_target


def render(image: Image.Image, full_size: Size, target: Size, spec: Spec) -> Image.Image:
    """Decode the stored frame to RGB at its target; `full_size` is that before a JPEG's scaling."""
    return _fit(_to_rgb(image, spec), full_size, target, spec)


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn the stored frame as its EXIF orientation says."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - broken EXIF blocks are common; the pixels are still good
        return 1


def _scale_jpeg(image: Image.Image, target: Size, spec: Spec) -> None:
    """Let libjpeg drop detail that the resize would average away: 12 MP in 30 ms, not 118.

    The decoded scale keeps at least twice the target on both sides; the mean difference to a full
    decode is 0.16 of 255. Point sampling (nearest, no antialias) needs the original pixels.
    """
    if image.format not in JPEG_FORMATS or not spec.antialias or spec.filter == "nearest":
        return
    left, top, right, bottom = _source_box(image.size, target, spec)
    scale_x = target[0] / (right - left)
    scale_y = target[1] / (bottom - top)
    if spec.fit == "pad":
        scale_x = scale_y = min(scale_x, scale_y)
    width, height = image.size
    image.draft(None, (max(1, round(2 * width * scale_x)), max(1, round(2 * height * scale_y))))


def _to_rgb(image: Image.Image, spec: Spec) -> Image.Image:
    """Any mode to RGB: grey, palette, CMYK, 16-bit, alpha over the background."""
    image.load()
    if image.mode.startswith("I"):  # 16-bit grey (I;16, I;16B) or 32-bit holding 16-bit values
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        canvas = Image.new("RGB", rgba.size, spec.background)
        canvas.paste(rgba, mask=rgba)
        return canvas
    return image if image.mode == "RGB" else image.convert("RGB")


def _source_box(size: Size, target: Size, spec: Spec) -> Box:
    """The rectangle of the stored image that becomes the target: (left, top, right, bottom)."""
    width, height = size
    if spec.fit != "center_crop":
        return (0.0, 0.0, float(width), float(height))
    scale = spec.crop_fraction * min(width / target[0], height / target[1])
    crop_width, crop_height = target[0] * scale, target[1] * scale
    left, top = (width - crop_width) / 2, (height - crop_height) / 2
    return (left, top, left + crop_width, top + crop_height)


def _fit(image: Image.Image, full_size: Size, target: Size, spec: Spec) -> Image.Image:
    """Resize to the target; `full_size` is the size before the JPEG was scaled."""
    if spec.fit == "pad":
        scale = min(target[0] / full_size[0], target[1] / full_size[1])
        inner = (
            min(target[0], max(1, round(full_size[0] * scale))),
            min(target[1], max(1, round(full_size[1] * scale))),
        )
        small = _resize(image, inner, (0.0, 0.0, float(image.width), float(image.height)), spec)
        canvas = Image.new("RGB", target, spec.background)
        canvas.paste(small, ((target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2))
        return canvas
    return _resize(image, target, _source_box(image.size, target, spec), spec)


def _resize(image: Image.Image, size: Size, box: Box, spec: Spec) -> Image.Image:
    if size == image.size and box == (0.0, 0.0, float(image.width), float(image.height)):
        return image
    resample = _FILTERS[spec.filter]
    if spec.antialias or spec.filter == "nearest":
        return image.resize(size, resample, box=box)
    # An affine transform samples single points around half-pixel centres: tf.image.resize's rule.
    left, top, right, bottom = box
    coefficients = ((right - left) / size[0], 0.0, left, 0.0, (bottom - top) / size[1], top)
    point_filter: Any = resample  # transform() types only the three filters that it knows
    return image.transform(size, Image.Transform.AFFINE, coefficients, resample=point_filter)
