"""Random weights whose answers differ from image to image.

As Keras draws them, the activations of some applications fade from block to block until softmax
gives every class of every image the same 0.001, and parity with such a network proves nothing. One
pass over golden images in training mode, from which each batch normalisation takes its
statistics whole, keeps them at size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from contract.image_spec import ImageSpec
from exporter.batches import images_at_once
from exporter.proof import goldens

_USUAL_SIDE = 224
_IMAGES = 32  # of small ones; there are eight
_LEAST_IMAGES = 2


def save_settled(name: str, path: Path) -> None:
    """Build an application, settle it, write its weights (`.weights.h5`); the same every time."""
    import keras  # noqa: PLC0415 - only in the process that needs it

    from exporter.sources.known_applications import find_application  # noqa: PLC0415 - as above

    keras.utils.set_random_seed(1)
    application = find_application(name)
    model = application.construct(weights=None)
    pixels = golden_pixels(model)
    # Keras keeps every activation of a pass: eight images of 600 pixels take 24 GB.
    few = max(_LEAST_IMAGES, images_at_once(_IMAGES, *pixels.shape[1:3]))
    settle(model, application.preprocess_input(pixels[:few].astype(np.float32)))
    model.save_weights(path)


def settle(model: Any, images: np.ndarray) -> None:
    """Take the statistics of every batch normalisation from these images, float [N,H,W,3].

    Nothing is dropped meanwhile: statistics of a pass in which blocks were left out are not those
    of inference (EfficientNetV2M's logits come out at less than half their size).
    """
    import keras  # noqa: PLC0415 - as above

    rates = {layer: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    for layer in rates:
        layer.rate = 0.0
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)
    for layer, rate in rates.items():
        layer.rate = rate


def golden_pixels(model: Any) -> np.ndarray:
    """The drawn images at the model's size, uint8 [N,H,W,3]."""
    _, height, width, _ = model.input_shape
    spec = ImageSpec(height=height or _USUAL_SIDE, width=width or _USUAL_SIDE)
    return goldens.to_pixels(goldens.draw(), spec)
