"""WebP, BMP and GIF files that cost more than they look."""

from __future__ import annotations

import base64
import struct
from io import BytesIO

from PIL import Image

_WEBP_38 = base64.b64decode("UklGRh4AAABXRUJQVlA4TBEAAAAvf/7nEwdQrSYUuXiBiOh/AAA=")
"""16000 x 4000 pixels of one color, lossless: no bit of data per pixel."""


def webp_flat(width: int, height: int) -> bytes:
    """The 38-byte file with another size, at most 16384 on a side."""
    (bits,) = struct.unpack_from("<I", _WEBP_38, 21)
    bits = (bits & ~0xFFFFFFF) | (width - 1) | ((height - 1) << 14)
    return _WEBP_38[:21] + struct.pack("<I", bits) + _WEBP_38[25:]


def webp_lossy(width: int, height: int) -> bytes:
    """A small lossy file whose header says another size."""
    buffer = BytesIO()
    Image.new("RGB", (16, 16), "green").save(buffer, "WEBP", quality=50)
    data = bytearray(buffer.getvalue())
    start = data.index(b"\x9d\x01\x2a")
    struct.pack_into("<HH", data, start + 3, width, height)
    return bytes(data)


def webp_animation(width: int, height: int, frames: int) -> bytes:
    """A canvas of that size and frames of one pixel."""
    still = webp_flat(1, 1)[12:]
    place = (0).to_bytes(3, "little") * 4 + (10).to_bytes(3, "little") + b"\0"
    each = _riff_chunk(b"ANMF", place + still)
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = _riff_chunk(b"VP8X", b"\x12\0\0\0" + size) + _riff_chunk(b"ANIM", bytes(6))
    return _riff(body + each * frames)


def webp_canvas(width: int, height: int) -> bytes:
    """An extended header of that size around a lossless picture of one pixel."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return _riff(_riff_chunk(b"VP8X", b"\x10\0\0\0" + size) + webp_flat(1, 1)[12:])


def bmp(
    width: int, height: int, bits: int, data: bytes, *, compression: int = 0, colors: int = 0
) -> bytes:
    """A bitmap with any data behind its header and a palette of 256 colors."""
    palette = bytes(range(256)) * 4 if bits <= 8 else b""
    offset = 54 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", offset + len(data), 0, 0, offset)
    info = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, colors, 0
    )
    return head + info + palette + data


def gif(width: int, height: int, *, before: bytes = b"", frames: int = 1) -> bytes:
    """A canvas of that size and frames of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    each = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + before + each * frames + b";"


def gif_frame(width: int, height: int, data: bytes) -> bytes:
    """One frame that fills its canvas, with any LZW data (code size 2)."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02" + data + b"\0;"


def gif_comment(blocks: int) -> bytes:
    """A comment in so many blocks of one byte."""
    return b"\x21\xfe" + b"\x01x" * blocks + b"\0"


def _riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _riff_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
