"""PNG files that cost more than they look: big headers, endless chunks, compressed nothing."""

from __future__ import annotations

import struct
import zlib
from functools import cache

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, RGBA = 0, 2, 3, 6
_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, RGBA: 4}


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """One chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(
    width: int, height: int, color: int, *, depth: int = 8, is_interlaced: bool = False
) -> bytes:
    """The signature and an IHDR chunk; a palette where the color needs one."""
    fields = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(is_interlaced))
    palette = chunk(b"PLTE", bytes(range(6))) if color == PALETTE else b""
    return SIGNATURE + chunk(b"IHDR", fields) + palette


def announced(width: int, height: int, color: int, *, extra: bytes = b"", **options: int) -> bytes:
    """A header that announces a picture whose pixels never come."""
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return header(width, height, color, **options) + extra + pixels + chunk(b"IEND")  # type: ignore[arg-type]  # bool is int


@cache
def flat(width: int, height: int, color: int, *, depth: int = 8, extra: bytes = b"") -> bytes:
    """A complete picture of zeros: a thousand times smaller than its pixels."""
    row = bytes(1 + (width * depth * _CHANNELS[color] + 7) // 8)
    compressor = zlib.compressobj(1)
    rows = max(1, (1 << 22) // len(row))
    parts = [compressor.compress(row * min(rows, height - done)) for done in range(0, height, rows)]
    pixels = b"".join([*parts, compressor.flush()])
    return header(width, height, color, depth=depth) + extra + _data(pixels)


def with_chunks(extra: bytes, *, inside: bytes = b"") -> bytes:
    """A picture of 8 x 8 pixels with chunks before its data, or between two halves of it."""
    pixels = zlib.compress(bytes(8 * 25))
    if not inside:
        return header(8, 8, RGB) + extra + _data(pixels)
    first, second = chunk(b"IDAT", pixels[:4]), chunk(b"IDAT", pixels[4:])
    return header(8, 8, RGB) + extra + first + inside + second + chunk(b"IEND")


def text_bomb(kind: bytes, size: int) -> bytes:
    """A chunk whose compressed text, or color profile, unpacks to so many zeros."""
    packed = zlib.compress(bytes(size), 9)
    prefix = b"comment\0" + (b"\1\0\0\0" if kind == b"iTXt" else b"\0")
    return chunk(kind, prefix + packed)


def excess(size: int) -> bytes:
    """Eight rows are asked for, and so many bytes of zeros are packed behind them."""
    return header(8, 8, RGB) + _data(zlib.compress(bytes(size), 9))


def animation(frames: int) -> bytes:
    """An animation of tiny frames that promises 2^31 - 1 of them."""
    control = chunk(b"acTL", struct.pack(">II", 0x7FFFFFFF, 0))
    still = zlib.compress(bytes(4))
    many = b"".join(
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 2 * number + 1, 1, 1, 0, 0, 1, 1, 0, 0))
        + chunk(b"fdAT", struct.pack(">I", 2 * number + 2) + still)
        for number in range(frames)
    )
    first = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 1, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(8 * 25)))
    return header(8, 8, RGB) + control + first + pixels + many + chunk(b"IEND")


def _data(pixels: bytes) -> bytes:
    return chunk(b"IDAT", pixels) + chunk(b"IEND")
