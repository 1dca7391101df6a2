"""Folders of pictures to train on: patterns that a glance tells apart, and photographs' crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_patterns(folder: Path, classes: dict[str, int], *, side: int = 16) -> Path:
    """So many PNG files of each class: noise around a grey of its own. No two are the same."""
    random = np.random.default_rng(3)
    for place, (label, count) in enumerate(classes.items()):
        (folder / label).mkdir(parents=True)
        grey = 255 * (place + 0.5) / len(classes)
        for number in range(count):
            noise = np.clip(random.normal(grey, 12, (side, side, 3)), 0, 255)
            Image.fromarray(noise.astype(np.uint8)).save(folder / label / f"{number:02}.png")
    return folder


def write_crops(folder: Path, count: int) -> Path:
    """So many crops of three photographs that ship in scikit-image."""
    from skimage import data  # noqa: PLC0415 - not every test wants it

    random = np.random.default_rng(0)
    for name in ("chelsea", "coffee", "rocket"):
        photograph = getattr(data, name)()
        height, width = photograph.shape[:2]
        (folder / name).mkdir(parents=True)
        for number in range(count):
            side = int(random.integers(120, 260))
            top, left = int(random.integers(height - side)), int(random.integers(width - side))
            crop = photograph[top : top + side, left : left + side]
            Image.fromarray(crop).save(folder / name / f"{number:02}.jpg", quality=90)
    return folder
