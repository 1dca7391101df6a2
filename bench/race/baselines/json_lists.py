"""(b) FastAPI, `requests` and nested lists of numbers to TensorFlow Serving's REST API.

As https://www.tensorflow.org/tfx/tutorials/serving/rest_simple asks it.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

import numpy as np
import requests
from fastapi import Body, FastAPI

from bench.race.baselines.answers import answer_of, pixels_of
from bench.race.baselines.preprocessing import preprocess

app = FastAPI()
URL = os.environ["RACE_PREDICT_URL"]


@app.post("/classify")
def classify(data: Annotated[bytes, Body(media_type="application/octet-stream")]) -> dict[str, Any]:
    """One picture, one request with its numbers as text."""
    instances = preprocess(pixels_of(data))[np.newaxis].tolist()
    answer = requests.post(URL, json={"instances": instances}, timeout=60)
    answer.raise_for_status()
    return answer_of(np.array(answer.json()["predictions"][0]))
