"""Small Keras classifiers for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def save_tiny_classifier(path: Path, *, classes: int = 4, side: int = 16, seed: int = 1) -> Any:
    """Write a small convolutional softmax classifier, [N,side,side,3] in 0..255; return it."""
    import keras  # noqa: PLC0415 - seconds, and not every test wants them

    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((side, side, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, activation="softmax", kernel_initializer="random_normal"),
        ]
    )
    model.save(path)
    return model
