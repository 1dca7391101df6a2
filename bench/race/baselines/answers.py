"""What all baselines do alike: a file to pixels, probabilities to an answer."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

SIDE = 224


def pixels_of(data: bytes) -> np.ndarray:
    """An image file as uint8 [SIDE,SIDE,3]."""
    image = Image.open(BytesIO(data)).convert("RGB")
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def answer_of(probabilities: np.ndarray) -> dict[str, Any]:
    """The five most probable classes of float [C]."""
    best = np.argsort(probabilities)[::-1][:5]
    return {
        "predictions": [
            {"class_index": int(each), "probability": float(probabilities[each])} for each in best
        ]
    }
