"""The demonstration's pictures: scikit-learn's handwritten digits, offline. No TensorFlow here.

1797 real digits of 8x8 pixels in 0..16. Each is drawn to a 32x32 RGB PNG (bicubic; white ink on
black, 0..16 stretched to 0..255) and read back through `pixels.decode`, so that the model trains on
exactly what the gateway will show it. A fifth of them, the same for every run, is never trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from contract.pixels import ImageSpec, decode

LABELS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
IMAGE: Final = ImageSpec(height=32, width=32)

_SEED: Final = 7
_HELD_OUT_FRACTION: Final = 0.2
_INK: Final = 16
"""The largest value in the data set."""


@dataclass(frozen=True, slots=True)
class Digit:
    """One handwritten digit as a file."""

    png: bytes
    class_index: int


@dataclass(frozen=True, slots=True)
class Digits:
    """The data set, split the same way every time."""

    training: tuple[Digit, ...]
    held_out: tuple[Digit, ...]


def held_out() -> tuple[Digit, ...]:
    """The fifth of the digits that the model never sees, as PNG files with their class."""
    return load().held_out


def load() -> Digits:
    """Draw all digits and split them, a fifth of each class held out."""
    data: Any = load_digits()
    digits = [
        Digit(_draw(image), int(target))
        for image, target in zip(data.images, data.target, strict=True)
    ]
    training, kept = train_test_split(
        digits, test_size=_HELD_OUT_FRACTION, stratify=data.target, random_state=_SEED
    )
    return Digits(tuple(training), tuple(kept))


def to_arrays(digits: Sequence[Digit]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Pixels uint8 [N,32,32,3] and classes [N], decoded as the gateway does."""
    pixels = np.stack([decode(digit.png, IMAGE) for digit in digits])
    return pixels, np.array([digit.class_index for digit in digits], dtype=np.int64)


def write_files(digits: Sequence[Digit], folder: Path) -> None:
    """Write `0000.png` … and `labels.txt`, one line `<file> <label>` each."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, digit in enumerate(digits):
        name = f"{number:04}.png"
        (folder / name).write_bytes(digit.png)
        lines.append(f"{name} {LABELS[digit.class_index]}\n")
    (folder / "labels.txt").write_text("".join(lines), encoding="utf-8")


def _draw(image: npt.NDArray[np.float64]) -> bytes:
    grey = Image.fromarray(np.round(image * 255 / _INK).astype(np.uint8))
    large = grey.resize((IMAGE.width, IMAGE.height), Image.Resampling.BICUBIC)
    buffer = BytesIO()
    large.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
