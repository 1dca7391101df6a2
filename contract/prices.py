"""What decoding an image costs, in bytes of memory at the peak, known from its header alone.

The figures are per pixel and were measured, as the growth of a process's address space while it
decodes (`tests/support/decode_memory.py` prints them beside the prices; a test holds every
case to "the price covers the peak, and is at most twice as high"). They follow from what is alive
at once: what the format's decoder keeps, the picture as Pillow stores it, and the copies on the way
to RGB.

Pure: numbers in, a number out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIXED_BYTES: Final = 2_000_000
"""Parsing, tables of codes, row buffers: what even one pixel costs."""

_STORED: Final = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}
"""Bytes per pixel of Pillow's own storage; every mode that is not here takes four."""

_RGB: Final = 4
"""Pillow pads three channels to four."""

_WEBP: Final = 16
"""libwebp's animation decoder keeps two canvases, Pillow the picture as bytes and as picture."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the price depends on."""

    format: str
    width: int
    """In pixels, of what is decoded: after a JPEG's scaling."""
    height: int
    mode: str
    """Pillow's name of the stored mode."""
    is_transparent: bool = False
    is_run_length_encoded: bool = False
    """A BMP whose rows Pillow unpacks in Python."""
    coefficient_bytes: int = 0
    """What libjpeg keeps of a JPEG that comes in several scans."""


def peak_bytes(header: Header, *, target_width: int) -> int:
    """Memory that decoding takes at its peak, without the file and the model's input."""
    pixels = header.width * header.height
    stored = _STORED.get(header.mode, 4)
    # Resizing goes along the rows first: all of them, at the target's width.
    resized = _RGB * target_width * header.height
    decoding = stored + (2 if header.is_run_length_encoded else 0)
    converting = stored + _conversion(header, stored)
    resizing = stored + (0 if header.mode == "RGB" and not header.is_transparent else _RGB)
    return (
        FIXED_BYTES
        + header.coefficient_bytes
        + max(pixels * max(decoding, converting), pixels * resizing + resized)
    )


def webp_peak_bytes(width: int, height: int, *, target_width: int) -> int:
    """As `peak_bytes`, for WebP, whose decoder is made before Pillow has read anything."""
    return FIXED_BYTES + _WEBP * width * height + _RGB * target_width * height


def coefficient_bytes(size: tuple[int, int], samplings: list[tuple[int, int]]) -> int:
    """Two bytes per coefficient of each component, in whole blocks of the widest sampling.

    Args:
        size: width and height of the whole picture, in pixels.
        samplings: horizontal and vertical factor of each component.
    """
    widest, tallest = (max(factors) for factors in zip(*samplings, strict=True))
    columns, rows = -(-size[0] // (8 * widest)), -(-size[1] // (8 * tallest))
    return sum(columns * across * rows * down * 128 for across, down in samplings)


def _conversion(header: Header, stored: int) -> int:
    """Bytes per pixel of the copies between the stored mode and RGB."""
    if header.mode.startswith("I"):
        return stored * 5 // 2  # NumPy's copies, their upper halves, RGB
    if header.is_transparent:
        return _RGB if header.mode == "RGBA" else 2 * _RGB
    return 0 if header.mode == "RGB" else _RGB
