"""Distinct JPEGs of three sizes, of photographs that ship with scikit-image and scikit-learn.

All crops of one photograph show one thing, so it is known what a network that was fitted to the
photographs has to answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "china.jpg", "flower.jpg")


@dataclass(frozen=True)
class Size:
    """A size of files."""

    name: str
    width: int
    height: int
    count: int
    wanted_bytes: int
    """On average; the quality of the JPEGs follows."""


CALIBRATION = Size("calibration", 320, 240, 192, 25_000)
"""Other crops, for int8: none of them takes part in the race."""

SIZES = (
    Size("500x375", 500, 375, 144, 51_000),
    Size("1280x960", 1280, 960, 36, 260_000),
    Size("4000x3000", 4000, 3000, 9, 2_000_000),
)


@dataclass(frozen=True)
class Crop:
    """A part of a photograph."""

    photograph: int
    """Its index."""
    pixels: np.ndarray
    """uint8 [height,width,3]"""


def photographs() -> list[np.ndarray]:
    """uint8 [H,W,3] each."""
    from skimage import data  # noqa: PLC0415 - in the process that prepares
    from sklearn.datasets import load_sample_image  # noqa: PLC0415 - as above

    return [
        load_sample_image(name) if "." in name else getattr(data, name)() for name in PHOTOGRAPHS
    ]


def crops(count: int, seed: int) -> list[Crop]:
    """Parts of 35 to 90 % of a photograph's height, all of one shape (4:3)."""
    found = photographs()
    chance = np.random.default_rng(seed)
    return [_crop(found, index % len(found), chance) for index in range(count)]


def _crop(found: list[np.ndarray], index: int, chance: np.random.Generator) -> Crop:
    whole = found[index]
    height = int(whole.shape[0] * chance.uniform(0.35, 0.9))
    width = min(whole.shape[1], height * 4 // 3)
    height = width * 3 // 4
    top = chance.integers(0, whole.shape[0] - height + 1)
    left = chance.integers(0, whole.shape[1] - width + 1)
    part = whole[top : top + height, left : left + width]
    return Crop(index, part[:, ::-1] if chance.integers(2) else part)


def jpeg(crop: Crop, size: Size) -> bytes:
    """The crop as a file of that size, near the wanted number of bytes."""
    image = Image.fromarray(crop.pixels).resize((size.width, size.height), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(crop.pixels.size).normal(0, 4, (size.height, size.width, 1))
    image = Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))
    low, high, best = 40, 95, b""
    while low <= high:
        quality = (low + high) // 2
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        best = buffer.getvalue()
        if len(best) < size.wanted_bytes:
            low = quality + 1
        else:
            high = quality - 1
    return best


def write(folder: Path) -> dict[str, list[tuple[str, int]]]:
    """All files; by size their names and which photograph each is of."""
    written: dict[str, list[tuple[str, int]]] = {}
    for number, size in enumerate((*SIZES, CALIBRATION)):
        (folder / size.name).mkdir(parents=True, exist_ok=True)
        for index, crop in enumerate(crops(size.count, seed=100 + number)):
            name = f"{size.name}/{index:03}.jpg"
            (folder / name).write_bytes(jpeg(crop, size))
            written.setdefault(size.name, []).append((name, crop.photograph))
    return written
