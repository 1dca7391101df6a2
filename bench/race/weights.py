"""Random weights with a head that tells the photographs apart.

Random networks give every photograph nearly the same answer, and rounding would decide which. So
the statistics of the batch normalisations are taken from photographs (`bench.settled_weights`), and
the last layer is fitted (ridge regression) to name the photograph that each picture of the race is
of: a wrong answer is a wrong answer then, and not noise. Speed does not depend on weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.race.pictures import PHOTOGRAPHS
from bench.settled_weights import settle

_SETTLED_WITH = 32
_NOISE = 2.0
_SHRINKAGE = 0.1
_SHARPNESS = 4.0
_CLASSES_APART = 70


def class_of(photograph: int) -> int:
    """The class that stands for a photograph."""
    return photograph * _CLASSES_APART


def save_network(name: str, pixels: np.ndarray, photographs: np.ndarray, path: Path) -> None:
    """An application with such weights as one `.keras` file; the same every time.

    Args:
        name: of the application.
        pixels: what it is to tell apart, uint8 [N,SIDE,SIDE,3].
        photographs: which photograph each is of, int [N].
        path: of the file.
    """
    import keras  # noqa: PLC0415 - only in the process that needs it

    from exporter.sources.known_applications import find_application  # noqa: PLC0415 - as above

    keras.utils.set_random_seed(1)
    application = find_application(name)
    model = application.construct(weights=None)
    clean = pixels.astype(np.float32)
    settle(model, application.preprocess_input(clean[:_SETTLED_WITH].copy()))
    features = keras.Model(model.inputs, model.layers[-2].output)
    noise = np.random.default_rng(0).normal(0, _NOISE, clean.shape).astype(np.float32)
    found = np.concatenate([
        features.predict(application.preprocess_input(each), verbose=0)
        for each in (clean.copy(), np.clip(clean + noise, 0, 255))
    ])  # fmt: skip
    _fit(model.layers[-1], found, np.tile(photographs, 2))
    model.save(path)


def _fit(layer: Any, features: np.ndarray, photographs: np.ndarray) -> None:
    """Ridge regression onto the photographs' classes; the others keep small random weights."""
    mean = features.mean(0)
    centred = features - mean
    wanted = np.eye(len(PHOTOGRAPHS))[photographs]
    covariance = centred.T @ centred / len(centred)
    shrinkage = _SHRINKAGE * np.trace(covariance) / len(covariance)
    fitted = np.linalg.solve(
        covariance + shrinkage * np.eye(len(covariance)),
        centred.T @ (wanted - wanted.mean(0)) / len(centred),
    )
    kernel, bias = layer.get_weights()
    chance = np.random.default_rng(0)
    kernel = chance.normal(0, fitted.std() / 10, kernel.shape)
    columns = [class_of(each) for each in range(len(PHOTOGRAPHS))]
    kernel[:, columns] = fitted
    bias = -(mean @ kernel)
    bias[columns] += wanted.mean(0)
    layer.set_weights([_SHARPNESS * kernel, _SHARPNESS * bias])
