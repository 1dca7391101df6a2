"""JPEG files that cost more than they look: scans, segments and padding without end."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
from PIL import Image

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
BASELINE, PROGRESSIVE, LOSSLESS, ARITHMETIC = 0xC0, 0xC2, 0xC3, 0xC9


def segment(marker: int, body: bytes = b"") -> bytes:
    """One marker with its length."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def photo(side: int = 64, **options: object) -> bytes:
    """A small real picture to forge from: noise, so that its data is not empty."""
    pixels = np.random.default_rng(5).integers(0, 255, (side, side, 3), np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def frame(
    width: int, height: int, *, marker: int = BASELINE, sampling: str = "444", bits: int = 8
) -> bytes:
    """A start-of-frame segment; a digit per component in `sampling`; "0" is none that exists."""
    factors = {
        "444": (0x11,) * 3, "420": (0x22, 0x11, 0x11), "4444": (0x11,) * 4, "4": (0x11,), "0": (0,)
    }  # fmt: skip
    components = b"".join(
        bytes((number + 1, factor, 0)) for number, factor in enumerate(factors[sampling])
    )
    count = len(factors[sampling])
    return segment(marker, struct.pack(">BHHB", bits, height, width, count) + components)


def scan(components: int, *, spectral: tuple[int, int] = (0, 63), approximation: int = 0) -> bytes:
    """A start-of-scan segment for the first components (one: only the first)."""
    chosen = b"".join(bytes((number + 1, 0)) for number in range(components))
    return segment(0xDA, bytes((components,)) + chosen + bytes((*spectral, approximation)))


def tables() -> bytes:
    """A quantization table and a Huffman table of one code each."""
    codes = bytes(15) + b"\1"
    quantization = segment(0xDB, b"\0" + b"\1" * 64)
    return (
        quantization
        + b"".join(
            segment(0xC4, bytes((kind,)) + b"\1" + bytes(15) + b"\0") for kind in (0x00, 0x10)
        )
        + (segment(0xC4, b"\x11" + codes + b"\0"))
    )


def announced(width: int, height: int, **options: object) -> bytes:
    """A header that announces a picture, and one scan without data."""
    head = SOI + tables() + frame(width, height, **options)  # type: ignore[arg-type]  # passed on
    components = len(str(options.get("sampling", "444")))
    spectral = (0, 0) if options.get("marker") == PROGRESSIVE else (0, 63)
    return head + scan(min(components, 4), spectral=spectral) + bytes(64) + EOI


def many_scans(width: int, height: int, count: int, *, data: bytes = b"") -> bytes:
    """Progressive, grey, and scan upon scan: each is a walk over the whole picture."""
    first = scan(1, spectral=(0, 0))
    refinement = scan(1, spectral=(1, 63)) + data
    head = SOI + tables() + frame(width, height, marker=PROGRESSIVE, sampling="4")
    return head + first + bytes(8) + refinement * count + EOI


def separate_scans(width: int, height: int) -> bytes:
    """Baseline, but a scan per component: its coefficients must be kept as if progressive."""
    head = SOI + tables() + frame(width, height)
    scans = b"".join(
        segment(0xDA, bytes((1, number, 0, 0, 63, 0))) + bytes(16) for number in (1, 2, 3)
    )
    return head + scans + EOI


def with_segments(extra: bytes) -> bytes:
    """A small real picture with segments, or anything, behind its start."""
    return SOI + extra + photo()[2:]


def with_tail(extra: bytes) -> bytes:
    """The same with bytes inside its entropy-coded data, before the end."""
    return photo()[:-2] + extra + EOI


def exif_bomb() -> bytes:
    """An EXIF block of 5,000 entries that all claim the same 60 kB, and that links to itself."""
    entries = b"".join(struct.pack(">HHII", number, 7, 60_000, 8) for number in range(1, 5_001))
    block = b"MM\0*" + struct.pack(">IH", 8, 5_000) + entries + struct.pack(">I", 8)
    return with_segments(segment(0xE1, b"Exif\0\0" + block))


def multi_picture(count: int) -> bytes:
    """A multi-picture file (MPO) whose index lists pictures at arbitrary places."""
    entries = struct.pack(">IIIHH", 0x20030000, 100, 2, 0, 0) * count
    tags = (
        (0xB000, 7, 4, 0x30313030),
        (0xB001, 4, 1, count),
        (0xB002, 7, len(entries), 8 + 2 + 36 + 4),
    )
    directory = struct.pack(">H", len(tags)) + b"".join(struct.pack(">HHII", *tag) for tag in tags)
    index = b"MM\0*" + struct.pack(">I", 8) + directory + bytes(4) + entries
    return with_segments(segment(0xE2, b"MPF\0" + index))
