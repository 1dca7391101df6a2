"""A small network for pictures that no pretrained one fits, or that are all there is to learn from.

Convolution, batch normalisation and ReLU, each halving the side, down to four pixels. Those are not
averaged but flattened, as position counts in small pictures: a 6 is a 9 upside down. A first layer
at full resolution doubled the time of a training and changed nothing on the digits.
"""

from __future__ import annotations

from typing import Any, Final

import keras

_CHANNELS: Final = (24, 48, 96, 128, 160)
"""After each halving."""
_KERNELS: Final = (5, 3, 3, 3, 3)
_SMALLEST: Final = 4
_MOMENTUM: Final = 0.9
"""Of the running means: small folders have few batches in which to learn them."""


def compact_cnn(height: int, width: int, class_count: int) -> Any:
    """Pixels 0..255 of [N,H,W,3] to probabilities [N,C], with random weights."""
    layers = keras.layers
    inputs = keras.Input((height, width, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    side = min(height, width)
    for channels, kernel in zip(_CHANNELS, _KERNELS, strict=True):
        if side < 2 * _SMALLEST:
            break
        x = _halved(x, channels, kernel)
        side //= 2
    x = layers.Flatten()(x)
    x = layers.Dropout(0.4)(x)
    return keras.Model(inputs, layers.Dense(class_count, activation="softmax")(x))


def _halved(x: Any, channels: int, kernel: int) -> Any:
    x = keras.layers.Conv2D(channels, kernel, strides=2, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=_MOMENTUM)(x)
    return keras.layers.ReLU()(x)
