"""Real photographs (scikit-image's and scikit-learn's) and files made of them."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


@cache
def photographs() -> dict[str, npt.NDArray[np.uint8]]:
    """Photographs by name, uint8 [H,W,3]; all ship inside the packages."""
    from skimage import data  # noqa: PLC0415 - slow to import, and only some tests want it

    pictures = {
        "astronaut": data.astronaut(),
        "cat": data.chelsea(),
        "coffee": data.coffee(),
        "rocket": data.rocket(),
    }
    # scikit-learn's two lie in its folder as files; importing it takes two seconds.
    found = find_spec("sklearn")
    assert found is not None
    assert found.origin is not None
    for path in sorted((Path(found.origin).parent / "datasets" / "images").glob("*.jpg")):
        pictures[path.stem] = np.asarray(Image.open(path).convert("RGB"))
    return pictures


def encoded(pixels: npt.NDArray[np.uint8], file_format: str = "JPEG", **options: Any) -> bytes:
    """The pixels as the bytes of an image file."""
    return saved(Image.fromarray(pixels), file_format, **options)


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """A Pillow image as the bytes of a file."""
    buffer = BytesIO()
    if file_format == "JPEG":
        options = {"quality": 92, **options}
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_bomb(width: int = 20_000, height: int = 20_000) -> bytes:
    """A small PNG file that would decode to width x height grey pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    compressor = zlib.compressobj(1)
    row = bytes(width + 1)
    body = b"".join([*(compressor.compress(row) for _ in range(height)), compressor.flush()])
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
