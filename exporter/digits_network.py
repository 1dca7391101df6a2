"""The demonstration model: a small CNN, trained on `exporter.digits`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import keras
import numpy as np

from exporter.digits import IMAGE, LABELS, Digits, to_arrays
from exporter.options import DIGITS
from exporter.options import DIGITS_EPOCHS as EPOCHS

_SEED: Final = 7
_BATCH_SIZE: Final = 32
_LEARNING_RATE: Final = 2e-3


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
