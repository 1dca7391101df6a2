"""The one definition of how the bytes of an image file become the pixels a model sees.

The gateway's decode workers call it when serving, the exporter for golden answers and evaluation,
and users in their training input: two definitions cost 0.7 to 2.3 points of top-1 accuracy
(SysNoise, arXiv 2307.00280). It must stay pure: bytes in, array out; no network, no files, and
no state but Pillow's own limit, which is raised where a caller's is higher.

    bytes -> header -> limits -> price -> orientation -> JPEG scale -> decode -> RGB -> fit
          -> uint8 [H,W,3]

Colour profiles are ignored, as TensorFlow's decoders and common training pipelines do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile

from contract import headers, prices

Size = tuple[int, int]
Box = tuple[float, float, float, float]

DEFAULT_FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
"""An allow-list: Pillow's rarer decoders have been the way in (CVE-2026-40192, a FITS bomb)."""

_FILTERS: Final = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_JPEG: Final = frozenset({"JPEG", "MPO"})
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


class ImageError(ValueError):
    """The bytes are no image that we can or will decode. The message is fit for a client.

    ImageError
    ├── UnsupportedImageFormatError   not an image, or a format that is not on the allow-list
    ├── ImageTooLargeError            more pixels or a longer side than the limits allow
    └── CorruptImageError             the right format, but truncated or damaged
    """


class UnsupportedImageFormatError(ImageError):
    """The bytes are not an image of an allowed format."""


class ImageTooLargeError(ImageError):
    """The header announces more pixels than the limits allow."""


class CorruptImageError(ImageError):
    """The header is right but the pixels cannot be decoded."""


Grant = Callable[[int], None]
"""Told the price of an image in bytes before its pixels take any; it may wait, and may raise."""


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


@dataclass(frozen=True, slots=True)
class Limits:
    """What an upload may cost before a single pixel is decoded."""

    max_pixels: int = 64_000_000
    """Width x height. What a pixel costs differs by format: see `prices`."""
    max_side: int = 30_000
    """Longest side in pixels: resampling tables grow with it, not with the area."""
    max_scans: int = 100
    """Of a JPEG: each is a walk over the whole picture. Encoders write about ten."""
    formats: tuple[str, ...] = DEFAULT_FORMATS


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Pixels for the model, and what the file was."""

    pixels: npt.NDArray[np.uint8]
    """uint8 [H,W,3], RGB, C-contiguous."""
    format: str
    """JPEG, PNG, GIF, BMP or WEBP."""
    width: int
    """Of the stored image, in pixels, before EXIF orientation."""
    height: int


def decode(data: bytes, spec: Spec, limits: Limits | None = None) -> npt.NDArray[np.uint8]:
    """Decode an image file to the model's input.

    Args:
        data: the whole file.
        spec: the size and the way there.
        limits: refused before decoding; the defaults when None.

    Returns:
        uint8 [spec.height, spec.width, 3], RGB.

    Raises:
        ImageError: one of its subclasses.
    """
    return decode_image(data, spec, limits).pixels


def decode_image(
    data: bytes, spec: Spec, limits: Limits | None = None, *, grant: Grant | None = None
) -> DecodedImage:
    """As `decode`, with the file's format and size.

    Args:
        data: the whole file.
        spec: the size and the way there.
        limits: refused before decoding; the defaults when None.
        grant: told what decoding will take, before it takes it; what it raises passes through.
    """
    limits = limits or Limits()
    grant = grant or _free
    _price_webp(data, spec, limits, grant)
    with _open(data, limits) as image:
        width, height = image.size
        with _named("the image's header is damaged"):
            orientation, target = _prepare(image, spec)
            price = 0 if image.format == "WEBP" else _price(data, image, (width, height), target)
        if price:
            grant(price)
        with _named("the image is truncated or damaged"):
            pixels = _to_pixels(image, (width, height), target, spec)
        if orientation in _UPRIGHT:
            pixels = pixels.transpose(_UPRIGHT[orientation])
        file_format = "JPEG" if image.format == "MPO" else str(image.format)
        return DecodedImage(
            np.ascontiguousarray(pixels, dtype=np.uint8), file_format, width, height
        )


@contextmanager
def _named(damage: str) -> Iterator[None]:
    """Name what a file does to whoever reads it.

    Pillow's plugins raise whatever their parsing runs into (OSError, SyntaxError, struct.error,
    zlib.error, IndexError ...), and we may count with a header's zeros: to a caller all of it is a
    damaged file.
    """
    try:
        yield
    except MemoryError as error:
        raise ImageTooLargeError("the image needs more memory than there is") from error
    except Exception as error:
        raise CorruptImageError(damage) from error


def _free(price: int) -> None:
    """Whoever counts no memory grants any."""


def _open(data: bytes, limits: Limits) -> Image.Image:
    """Read the header and hold it against the limits."""
    if Image.MAX_IMAGE_PIXELS is not None and limits.max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = limits.max_pixels  # or Pillow would refuse what our caller allows
    try:
        image = Image.open(BytesIO(data), formats=limits.formats)
    except UnidentifiedImageError as error:
        allowed = ", ".join(limits.formats)
        raise UnsupportedImageFormatError(f"not an image of a known format ({allowed})") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLargeError(f"the image has more than {limits.max_pixels:,} pixels") from error
    except MemoryError as error:
        raise ImageTooLargeError("the image's header needs more memory than there is") from error
    except Exception as error:  # as in _named: a header can break a plugin in any way
        raise CorruptImageError("the image's header is damaged") from error
    try:
        _check_size(image.size, limits)
        if image.format in _JPEG and data.count(headers.START_OF_SCAN) > limits.max_scans:
            raise CorruptImageError(f"the JPEG has more than {limits.max_scans} scans")
    except ImageError:
        image.close()
        raise
    return image


def _check_size(size: Size, limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"the image is {width} x {height}, more than {limits.max_pixels:,} pixels"
        )
    if max(width, height) > limits.max_side:
        raise ImageTooLargeError(
            f"the image is {width} x {height}, its longer side over {limits.max_side:,} pixels"
        )


def _prepare(image: Image.Image, spec: Spec) -> tuple[int, Size]:
    """Orientation and target of the stored frame; a JPEG is told at which scale to decode.

    The stored frame is resized and the small result turned upright: the same picture, cheaper.
    """
    orientation = _orientation(image) if spec.exif else 1
    target = (spec.width, spec.height)
    stored_target = (target[1], target[0]) if orientation in _SWAPS_SIDES else target
    _scale_jpeg(image, stored_target, spec)
    return orientation, stored_target


def _price_webp(data: bytes, spec: Spec, limits: Limits, grant: Grant) -> None:
    """Limits and price of a WebP file: opening it makes its decoder, with canvases and all."""
    size = headers.webp_size(data)
    if size is None:
        return
    _check_size(size, limits)
    peak = prices.webp_peak_bytes(*size, target_width=max(spec.width, spec.height))
    grant(peak + 2 * len(data))  # Pillow reads the file into another string, and joins it


def _price(data: bytes, image: Image.Image, full_size: Size, target: Size) -> int:
    header = prices.Header(
        format=str(image.format),
        width=image.width,
        height=image.height,
        mode=image.mode,
        is_transparent=image.has_transparency_data,
        is_run_length_encoded=_codec(image) == "bmp_rle",
        coefficient_bytes=_coefficient_bytes(data, image, full_size),
    )
    return prices.peak_bytes(header, target_width=target[0])


def _codec(image: Image.Image) -> str:
    """The name of the decoder that Pillow will use; empty where a plugin decodes by itself."""
    tiles = image.tile if isinstance(image, ImageFile) else []
    return tiles[0].codec_name if tiles else ""


def _coefficient_bytes(data: bytes, image: Image.Image, full_size: Size) -> int:
    """What libjpeg keeps of a JPEG in several scans; of one in one scan, a few rows."""
    if not isinstance(image, JpegImageFile):
        return 0
    # Pillow stands behind the first scan's header; in a multi-picture file nobody can tell.
    position = image.fp.tell() if image.format == "JPEG" and image.fp is not None else 0
    is_progressive = bool(image.info.get("progressive"))
    if not is_progressive and headers.is_one_scan(data, position, image.layers):
        return 0
    samplings = [(across, down) for _, across, down, _ in image.layer]
    return prices.coefficient_bytes(full_size, samplings)


def _to_pixels(image: Image.Image, full_size: Size, target: Size, spec: Spec) -> Image.Image:
    return _fit(_to_rgb(image, spec), full_size, target, spec)


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
    if image.format not in _JPEG or not spec.antialias or spec.filter == "nearest":
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
