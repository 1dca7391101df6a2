"""(a) FastAPI and `model.predict` in one process.

A plain `def` route, which FastAPI runs in its thread pool: https://fastapi.tiangolo.com/async/
"""

from __future__ import annotations

import os
from typing import Annotated, Any

import keras
import numpy as np
from fastapi import Body, FastAPI

from bench.race.baselines.answers import SIDE, answer_of, pixels_of

app = FastAPI()
model = keras.models.load_model(os.environ["RACE_KERAS_FILE"])
preprocess_input = getattr(keras.applications, os.environ["RACE_PREPROCESSING"]).preprocess_input
model.predict(np.zeros((1, SIDE, SIDE, 3), np.float32), verbose=0)


@app.post("/classify")
def classify(data: Annotated[bytes, Body(media_type="application/octet-stream")]) -> dict[str, Any]:
    """One picture, one call of the model."""
    pixels = pixels_of(data).astype(np.float32)
    return answer_of(model.predict(preprocess_input(pixels[np.newaxis]), verbose=0)[0])
