"""What Pillow does not say about a file before it decodes it, read from the file's first bytes."""

from __future__ import annotations

import struct
from typing import Final

_WEBP_BYTES: Final = 30
START_OF_SCAN: Final = b"\xff\xda"


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP file's canvas; None for other formats and damaged headers."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < _WEBP_BYTES:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + _int24(data, 24), 1 + _int24(data, 27)
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def is_one_scan(data: bytes, after_header: int, components: int) -> bool:
    """Whether the first scan of a JPEG holds all its components: then rows need not be kept.

    Args:
        data: the file.
        after_header: where the first scan's own header ends.
        components: how many the frame has.
    """
    header = START_OF_SCAN + struct.pack(">HB", 6 + 2 * components, components)
    start = after_header - 2 - 6 - 2 * components
    return start >= 0 and data[start : start + len(header)] == header


def _int24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")
