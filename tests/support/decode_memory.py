"""What decoding really takes, case by case, beside its price.

`python -m tests.support.decode_memory` prints the table.
Each case is decoded in a child process of its own; measured is how far its address space grew (what
RLIMIT_AS sees, and never less than the resident memory).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.decode.limits import tame_malloc
from contract.decoding import decode_image
from contract.image_spec import ImageSpec
from contract.opening import DEFAULT_FORMATS
from tests.support.forged import jpeg, others, png
from tests.support.pictures import encoded

WIDTH, HEIGHT = 3_000, 2_000
SPEC = ImageSpec(height=224, width=224)


def _picture(mode: str = "RGB") -> Image.Image:
    """Smooth colours: quick to encode, and no codec finds them empty."""
    across = np.linspace(0, 255, WIDTH, dtype=np.uint8)
    down = np.linspace(0, 255, HEIGHT, dtype=np.uint8)[:, None]
    channels = [np.broadcast_to(across, (HEIGHT, WIDTH)), np.broadcast_to(down, (HEIGHT, WIDTH))]
    rgb = Image.fromarray(np.stack([*channels, channels[0] ^ channels[1]], axis=-1))
    if mode in {"RGBA", "LA"}:
        rgb.putalpha(Image.fromarray(np.ascontiguousarray(channels[0])))
    return rgb.convert(mode)


def _saved(mode: str, file_format: str, **options: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        buffer = BytesIO()
        _picture(mode).save(buffer, file_format, **options)
        return buffer.getvalue()

    return make


def _transparent_gif() -> bytes:
    buffer = BytesIO()
    _picture("P").save(buffer, "GIF", transparency=3)
    return buffer.getvalue()


def _png(color: int, **options: Any) -> Callable[[], bytes]:
    return lambda: png.flat(WIDTH, HEIGHT, color, **options)


_TRNS_PALETTE = png.chunk(b"tRNS", b"\0\x80")
_TRNS_RGB = png.chunk(b"tRNS", bytes(6))
_TRNS_GREY = png.chunk(b"tRNS", bytes(2))

CASES: dict[str, Callable[[], bytes]] = {
    "webp lossless": _saved("RGB", "WEBP", lossless=True, method=0),
    "webp lossless alpha": _saved("RGBA", "WEBP", lossless=True, method=0),
    "webp lossless flat": lambda: others.webp_flat(WIDTH, HEIGHT),
    "webp lossy": _saved("RGB", "WEBP", method=0),
    "webp lossy alpha": _saved("RGBA", "WEBP", method=0),
    "webp animated": _saved(
        "RGB", "WEBP", method=0, save_all=True, append_images=[_picture().rotate(90)]
    ),
    "png grey": _png(png.GREY),
    "png bilevel": _png(png.GREY, depth=1),
    "png grey 16": _png(png.GREY, depth=16),
    "png grey transparent": _png(png.GREY, extra=_TRNS_GREY),
    "png grey alpha": _saved("LA", "PNG", compress_level=1),
    "png rgb": _png(png.RGB),
    "png rgb 16": _png(png.RGB, depth=16),
    "png rgb transparent": _png(png.RGB, extra=_TRNS_RGB),
    "png rgba": _png(png.RGBA),
    "png rgba 16": _png(png.RGBA, depth=16),
    "png palette": _png(png.PALETTE),
    "png palette transparent": _png(png.PALETTE, extra=_TRNS_PALETTE),
    "jpeg": _saved("RGB", "JPEG"),
    "jpeg 4:4:4": _saved("RGB", "JPEG", subsampling=0),
    "jpeg grey": _saved("L", "JPEG"),
    "jpeg cmyk": _saved("CMYK", "JPEG"),
    "jpeg progressive": _saved("RGB", "JPEG", progressive=True),
    "jpeg progressive 4:4:4": _saved("RGB", "JPEG", progressive=True, subsampling=0),
    "jpeg progressive cmyk": _saved("CMYK", "JPEG", progressive=True),
    "jpeg separate scans": lambda: jpeg.separate_scans(WIDTH, HEIGHT),
    "jpeg multi-picture": _saved("RGB", "MPO", save_all=True, append_images=[_picture()]),
    "bmp 24": _saved("RGB", "BMP"),
    "bmp 32": _saved("RGBA", "BMP"),
    "bmp palette": _saved("P", "BMP"),
    "bmp rle": lambda: others.bmp(
        WIDTH, HEIGHT, 8, (b"\xff\1" * 11 + b"\xc3\1\0\0") * HEIGHT, compression=1
    ),
    "gif": _saved("P", "GIF"),
    "gif transparent": _transparent_gif,
    "gif canvas": lambda: others.gif(WIDTH, HEIGHT),
}


def measured(make: Callable[[], bytes], spec: ImageSpec = SPEC) -> dict[str, int]:
    """The price of a file, what decoding it took, and its length, in bytes.

    The file is made in one child and decoded in another: what making it left free in the heap would
    be used first, unseen.
    """
    data = _in_child(make)

    def decode() -> bytes:
        granted: list[int] = []
        before = _status("VmSize")
        decode_image(data, spec, grant=granted.append)
        peak = _status("VmPeak") - before
        return json.dumps({"price": granted[0], "peak": peak, "file": len(data)}).encode()

    result: dict[str, int] = json.loads(_in_child(decode))
    return result


def measured_cases() -> Iterator[tuple[str, dict[str, int]]]:
    """Every case with its figures."""
    for file_format in DEFAULT_FORMATS:  # modules are loaded here, not in the children
        decode_image(encoded(np.zeros((8, 8, 3), np.uint8), file_format), SPEC)
    for name, make in CASES.items():
        yield name, measured(make)


def _in_child(work: Callable[[], bytes]) -> bytes:
    """What a function returns in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(writing, "wb") as answer:
                answer.write(work())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        data = answer.read()
    os.waitpid(child, 0)
    return data


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(field)


def main() -> None:
    """Print a line of JSON for each case."""
    tame_malloc()
    for name, found in measured_cases():
        per_pixel = {key: round(found[key] / (WIDTH * HEIGHT), 1) for key in ("peak", "price")}
        print(json.dumps({"case": name, **found, "per_pixel": per_pixel}))  # noqa: T201 - a script


if __name__ == "__main__":
    main()
