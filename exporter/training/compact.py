"""A small network for pictures that no pretrained one fits, or that are all there is to learn from.

[conv 3x3, batch normalisation, ReLU] twice, halve      32, 64, 128 … channels, down to 4 pixels
flatten, dropout, dense                                 position counts: a 6 is a 9 upside down
"""

from __future__ import annotations

from typing import Any, Final

import keras

_CHANNELS: Final = (24, 48, 96, 128, 160)
_SMALLEST: Final = 4
_MOMENTUM: Final = 0.9
"""Of the running means: small folders have few batches in which to learn them."""


def compact_cnn(height: int, width: int, class_count: int) -> Any:
    """Pixels 0..255 of [N,H,W,3] to probabilities [N,C], with random weights."""
    layers = keras.layers
    inputs = keras.Input((height, width, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    side = min(height, width)
    for channels in _CHANNELS:
        x = _convolution(x, channels)
        x = _convolution(x, channels)
        if side < 2 * _SMALLEST:
            break
        x = layers.MaxPooling2D()(x)
        side //= 2
    if side > 2 * _SMALLEST:
        x = layers.GlobalAveragePooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.4)(x)
    return keras.Model(inputs, layers.Dense(class_count, activation="softmax")(x))


def _convolution(x: Any, channels: int) -> Any:
    x = keras.layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=_MOMENTUM)(x)
    return keras.layers.ReLU()(x)
