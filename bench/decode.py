"""What a photograph's pixels cost, and could cost: Pillow as `contract.pixels` uses it, and others.

    python -m bench.decode [--side 224] [--rounds 40]

Decoders that are not installed are left out: `pip install simplejpeg cykooz.resizer pyvips[binary]
opencv-python-headless` brings those of docs/explanation/decoding-cost.md. CPU time, medians of
rounds in which everybody has a turn; the distance to today's pixels is in levels of 255.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from contract.pixels import ImageSpec, decode
from tests.support.pictures import photographs, saved

SIZES: Final = ((500, 375), (1280, 960), (4000, 3000))
_ENLARGED: Final = 2
"""`contract.rendering` has a JPEG decoded at no less than twice its target."""

Pixels = npt.NDArray[np.uint8]
Decoder = Callable[[bytes, int], Pixels]


def main() -> None:
    """Measure and print a table for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    decoders = dict(available())
    for size in SIZES:
        files = [
            saved(Image.fromarray(picture).resize(size), "JPEG", quality=90)
            for picture in photographs().values()
        ]
        kilobytes = statistics.mean(map(len, files)) / 1000
        print(f"\n{size[0]} x {size[1]}, {kilobytes:.0f} kB, to {arguments.side}\n")
        print("| decoder | ms | ratio | mean difference | largest |\n|---|---|---|---|---|")
        rounds = arguments.rounds * SIZES[0][0] // size[0] + 3
        measured = measure(decoders, files, arguments.side, rounds)
        for name, times in measured.items():
            print(
                row(name, times, measured["today"], distance(decoders, name, files, arguments.side))
            )


def available() -> Iterator[tuple[str, Decoder]]:
    """Who can be asked here, by name."""
    yield "today", today
    yield "today: the JPEG alone", pillow_load
    for factor in (1.0, 2.0):
        yield f"Pillow, reducing_gap {factor:g}", partial(pillow_gap, gap=factor)
    yield "Pillow, the JPEG no smaller than its target", partial(pillow_draft, enlarged=1)
    yield "Pillow, planes of Y, Cb and Cr", pillow_planes
    if (simplejpeg := found("simplejpeg")) is not None:
        yield "simplejpeg, then Pillow", partial(with_simplejpeg, simplejpeg, enlarged=None)
        yield "simplejpeg by eighths, 2 x", partial(with_simplejpeg, simplejpeg, enlarged=2)
        yield "simplejpeg by eighths, 1 x", partial(with_simplejpeg, simplejpeg, enlarged=1)
    if (resizer := found("cykooz_resizer")) is not None:
        yield "Pillow, then cykooz.resizer", partial(with_resizer, resizer)
    if (cv2 := found("cv2")) is not None:
        yield "OpenCV, area", partial(with_opencv, cv2)
    if (pyvips := found("pyvips")) is not None:
        yield "libvips, thumbnail", partial(with_vips, pyvips)


def found(name: str) -> Any:
    """A library, or None."""
    try:
        return importlib.import_module(name)
    except (ImportError, OSError):
        return None


def today(data: bytes, side: int) -> Pixels:
    """As the gateway."""
    return decode(data, ImageSpec(height=side, width=side))


def pillow_load(data: bytes, side: int) -> Pixels:
    """Without the resize."""
    return np.asarray(_drafted(data, _ENLARGED * side))


def pillow_gap(data: bytes, side: int, *, gap: float) -> Pixels:
    """Reduced by whole numbers first."""
    image = _drafted(data, _ENLARGED * side)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=gap))


def pillow_draft(data: bytes, side: int, *, enlarged: int) -> Pixels:
    """Decoded smaller by halves, as far as it may."""
    return _resized(_drafted(data, enlarged * side), side)


def pillow_planes(data: bytes, side: int) -> Pixels:
    """Resized before the conversion to RGB."""
    image = Image.open(BytesIO(data))
    image.draft("YCbCr", (_ENLARGED * side, _ENLARGED * side))
    small = image.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small.convert("RGB"))


def with_simplejpeg(library: Any, data: bytes, side: int, *, enlarged: int | None) -> Pixels:
    """Decoded smaller by eighths, as far as it may; None: as today, by halves or not at all."""
    if enlarged is None:
        height, width, *_ = library.decode_jpeg_header(data)
        smallest = min(height, width) // (_ENLARGED * side)
        scale = next((each for each in (8, 4, 2) if each <= smallest), 1)
        least = {"min_height": height // scale, "min_width": width // scale}
    else:
        least = {"min_height": enlarged * side, "min_width": enlarged * side}
    pixels = library.decode_jpeg(data, **least, min_factor=1)
    return _resized(Image.fromarray(pixels), side)


def with_resizer(library: Any, data: bytes, side: int) -> Pixels:
    """Pillow's picture, resized in its place in memory by SIMD instructions."""
    image, small = _drafted(data, _ENLARGED * side), Image.new("RGB", (side, side))
    algorithm = library.ResizeAlg.convolution(library.FilterType.bilinear)
    library.Resizer().resize_pil(image, small, library.ResizeOptions(resize_alg=algorithm))
    return np.asarray(small)


def with_opencv(library: Any, data: bytes, side: int) -> Pixels:
    """Averages of areas, its only filter without aliases."""
    image = library.imdecode(np.frombuffer(data, np.uint8), library.IMREAD_COLOR_RGB)
    small: Pixels = library.resize(image, (side, side), interpolation=library.INTER_AREA)
    return small


def with_vips(library: Any, data: bytes, side: int) -> Pixels:
    """Its own choice of scales and filters."""
    image = library.Image.thumbnail_buffer(data, side, height=side, size="force", no_rotate=True)
    pixels: Pixels = image.numpy()
    return pixels


def _drafted(data: bytes, least: int) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.draft(None, (least, least))
    image.load()
    return image


def _resized(image: Image.Image, side: int) -> Pixels:
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))


def measure(
    decoders: dict[str, Decoder], files: list[bytes], side: int, rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of CPU per photograph, one figure for each round; the first warms up."""
    measured: dict[str, list[float]] = {name: [] for name in decoders}
    for number in range(rounds + 1):
        for name, decoder in decoders.items():
            start = time.process_time()
            for data in files:
                decoder(data, side)
            if number:
                measured[name].append(1000 * (time.process_time() - start) / len(files))
    return measured


def distance(
    decoders: dict[str, Decoder], name: str, files: list[bytes], side: int
) -> tuple[float, int] | None:
    """Mean and largest difference to today's pixels; None where it makes others."""
    means, largest = [], 0
    for data in files:
        pixels, wanted = decoders[name](data, side), today(data, side)
        if pixels.shape != wanted.shape:
            return None
        difference = np.abs(pixels.astype(np.int16) - wanted)
        means.append(float(difference.mean()))
        largest = max(largest, int(difference.max()))
    return statistics.mean(means), largest


def row(
    name: str, times: list[float], base: list[float], differences: tuple[float, int] | None
) -> str:
    """One line of the table."""
    ratio = statistics.median(mine / other for mine, other in zip(times, base, strict=True))
    text = "— | —" if differences is None else f"{differences[0]:.2f} | {differences[1]}"
    return f"| {name} | {statistics.median(times):.2f} | {ratio:.2f} | {text} |"


if __name__ == "__main__":
    main()
