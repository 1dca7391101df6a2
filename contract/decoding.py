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

import numpy as np
import numpy.typing as npt

from contract import appraisal, headers, prices, rendering
from contract.image_errors import CorruptImageError, ImageTooLargeError
from contract.opening import Limits, check_size, open_image
from contract.rendering import Spec

Grant = Callable[[int], None]
"""Told the price of an image in bytes before its pixels take any; it may wait, and may raise."""


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
    with open_image(data, limits) as image:
        width, height = full_size = image.size
        with _named("the image's header is damaged"):
            orientation, target = rendering.prepare(image, spec)
            is_priced = image.format == "WEBP"
            price = 0 if is_priced else appraisal.peak_bytes(data, image, full_size, target[0])
        if price:
            grant(price)
        with _named("the image is truncated or damaged"):
            pixels = rendering.render(image, full_size, target, spec)
        pixels = rendering.upright(pixels, orientation)
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


def _price_webp(data: bytes, spec: Spec, limits: Limits, grant: Grant) -> None:
    """Limits and price of a WebP file: opening it makes its decoder, with canvases and all."""
    size = headers.webp_size(data)
    if size is None:
        return
    check_size(size, limits)
    peak = prices.webp_peak_bytes(*size, target_width=max(spec.width, spec.height))
    grant(peak + 2 * len(data))  # Pillow reads the file into another string, and joins it
