"""Opening an image file: its header is read and held against the limits, no pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Final

from PIL import Image, UnidentifiedImageError

from contract import headers
from contract.image_errors import (
    CorruptImageError,
    ImageError,
    ImageTooLargeError,
    UnsupportedImageFormatError,
)

DEFAULT_FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
"""An allow-list: Pillow's rarer decoders have been the way in (CVE-2026-40192, a FITS bomb)."""

JPEG_FORMATS: Final = frozenset({"JPEG", "MPO"})
"""What libjpeg decodes; Pillow calls pictures of several frames, as phones write them, MPO."""


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


def open_image(data: bytes, limits: Limits) -> Image.Image:
    """Read the header and hold it against the limits.

    Raises:
        ImageError: one of its subclasses.
    """
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
    except (
        Exception
    ) as error:  # not only what Pillow documents: a header can break a plugin in any way
        raise CorruptImageError("the image's header is damaged") from error
    try:
        check_size(image.size, limits)
        if image.format in JPEG_FORMATS and data.count(headers.START_OF_SCAN) > limits.max_scans:
            raise CorruptImageError(f"the JPEG has more than {limits.max_scans} scans")
    except ImageError:
        image.close()
        raise
    return image


def check_size(size: tuple[int, int], limits: Limits) -> None:
    """Refuse what has too many pixels, in all or on one side.

    Raises:
        ImageTooLargeError: it has.
    """
    width, height = size
    if width * height > limits.max_pixels:
        raise ImageTooLargeError(
            f"the image is {width} x {height}, more than {limits.max_pixels:,} pixels"
        )
    if max(width, height) > limits.max_side:
        raise ImageTooLargeError(
            f"the image is {width} x {height}, its longer side over {limits.max_side:,} pixels"
        )
