"""What `preprocess_input` of the application does, in NumPy: a gateway need not import Keras."""

from __future__ import annotations

import os

import numpy as np

_CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)


def preprocess(pixels: np.ndarray) -> np.ndarray:
    """Uint8 [H,W,3] to what the network was trained on, float32 [H,W,3]."""
    values = pixels.astype(np.float32)
    if os.environ["RACE_PREPROCESSING"] == "resnet50":
        return values[..., ::-1] - _CAFFE_MEAN
    return values / np.float32(127.5) - np.float32(1)
