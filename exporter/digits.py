"""The demonstration model: a small CNN on scikit-learn's handwritten digits, offline.

1797 real digits of 8x8 pixels in 0..16. Each is drawn to a 32x32 RGB PNG (bicubic; white ink on
black, 0..16 stretched to 0..255) and read back through `pixels.decode`, so that the model trains on
exactly what the gateway will show it. A fifth of them, the same for every run, is never trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from contract.card import Evaluation
from contract.pixels import ImageSpec, decode
from exporter.options import DIGITS
from exporter.options import DIGITS_EPOCHS as EPOCHS

LABELS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
IMAGE: Final = ImageSpec(height=32, width=32)

_SEED: Final = 7
_HELD_OUT_FRACTION: Final = 0.2
_BATCH_SIZE: Final = 32
_LEARNING_RATE: Final = 2e-3
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


def train(digits: Digits, on_epoch: Callable[[int], None]) -> Any:
    """Train the CNN: a Keras model of uint8-valued pixels 0..255 to ten probabilities.

    Args:
        digits: only `training` is used.
        on_epoch: called with the number of each finished epoch.
    """
    keras.utils.set_random_seed(_SEED)
    pixels, classes = to_arrays(digits.training)
    model = _network()
    steps = EPOCHS * -(-len(pixels) // _BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps)
    model.compile(
        optimizer=keras.optimizers.Adam(schedule),
        loss="sparse_categorical_crossentropy",
        jit_compile=False,
    )
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: on_epoch(epoch + 1))
    model.fit(
        pixels.astype(np.float32),
        classes,
        batch_size=_BATCH_SIZE,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[callback],
    )
    return model


def evaluate(model: Any, digits: Sequence[Digit]) -> Evaluation:
    """Accuracy on digits that were held out."""
    pixels, classes = to_arrays(digits)
    probabilities = model.predict(pixels.astype(np.float32), verbose=0)
    ranked = np.argsort(-probabilities, axis=1)
    return Evaluation(
        dataset="scikit-learn digits, held out",
        n=len(digits),
        top_1=float((ranked[:, 0] == classes).mean()),
        top_5=float((ranked[:, :5] == classes[:, np.newaxis]).any(axis=1).mean()),
    )


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


def _network() -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((IMAGE.height, IMAGE.width, 3)),
            layers.Rescaling(1 / 255),
            layers.RandomTranslation(0.08, 0.08, fill_mode="constant"),
            layers.Conv2D(16, 5, strides=2, padding="same", activation="relu"),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dense(len(LABELS), activation="softmax"),
        ],
        name=DIGITS,
    )
