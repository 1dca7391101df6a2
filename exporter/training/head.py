"""A classifier of cached features: seconds, whatever extractor they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

from exporter.batches import images_at_once
from exporter.training.augmentation import augment
from exporter.training.backbone import Backbone
from exporter.training.fitting import Fit, compile_model, fit
from exporter.training.history import Stage
from exporter.training.options import TrainingOptions
from exporter.training.plan import Plan
from exporter.training.progress import TrainingReporter
from exporter.training.split import Indices

EPOCHS: Final = 100
PATIENCE: Final = 10
DROPOUT: Final = 0.2
LEARNING_RATE: Final = 1e-3
_BATCH: Final = 32
_LEAST_DEVIATION: Final = 0.1
"""Of the mean one: a feature that hardly ever speaks must not shout when it does."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Features:
    """What a frozen extractor saw."""

    training: Floats
    """[M,D]: the pictures, then each augmented copy of all of them."""
    training_truth: Indices
    validation: Floats
    validation_truth: Indices


def extract(
    backbone: Backbone, plan: Plan, options: TrainingOptions, report: TrainingReporter
) -> Features:
    """Ask the extractor once for every picture, and for its augmented copies."""
    inputs = keras.Input((plan.image.height, plan.image.width, 3))
    extractor = keras.Model(inputs, backbone.features(inputs))
    size = images_at_once(_BATCH, plan.image.height, plan.image.width)
    copies = plan.augmented_copies if options.augment else 0
    parts = plan.parts
    total = len(parts.training) * (1 + copies) + len(parts.validation)
    pixels, done = plan.pixels.open(), 0

    def features_of(positions: Indices, copy: int) -> Floats:
        nonlocal done
        rows = []
        for start in range(0, len(positions), size):
            images = pixels[positions[start : start + size]].astype(np.float32)
            if copy:
                random = np.random.default_rng([options.seed, copy, start])
                images = augment(images, random, mirror=options.mirror)
            rows.append(np.asarray(extractor.predict_on_batch(images), dtype=np.float32))
            for _ in images:  # one by one, as lines are told of quarters
                done += 1
                report.advance("computing features", done, total)
        return np.concatenate(rows)

    return Features(
        training=np.concatenate([features_of(parts.training, each) for each in range(1 + copies)]),
        training_truth=np.tile(plan.truth[parts.training], 1 + copies),
        validation=features_of(parts.validation, 0),
        validation_truth=plan.truth[parts.validation],
    )


def train(
    features: Features, plan: Plan, options: TrainingOptions, report: TrainingReporter
) -> tuple[tuple[Floats, Floats], Stage]:
    """Train a softmax layer.

    Returns:
        Kernel [D,C] and bias [C] for features as the extractor gives them, and the epochs.
    """
    mean = features.training.mean(axis=0)
    deviation = features.training.std(axis=0)
    scale = 1 / (deviation + _LEAST_DEVIATION * deviation.mean() + np.finfo(np.float32).tiny)
    dense = keras.layers.Dense(len(plan.labels), activation="softmax")
    model = keras.Sequential(
        [keras.Input((features.training.shape[1],)), keras.layers.Dropout(DROPOUT), dense]
    )
    compile_model(model, options.learning_rate or LEARNING_RATE)
    stage = fit(
        model,
        (features.training - mean) * scale,
        ((features.validation - mean) * scale, features.validation_truth),
        Fit(stage="head", epochs=options.epochs or EPOCHS, patience=PATIENCE),
        report,
        y=features.training_truth,
        batch_size=options.batch_size,
        class_weight=plan.class_weights,
    )
    kernel, bias = dense.get_weights()
    unscaled = kernel * scale[:, np.newaxis]
    return (unscaled, bias - mean @ unscaled), stage


def assemble(backbone: Backbone, head: tuple[Floats, Floats], plan: Plan) -> Any:
    """The whole classifier: pixels 0..255 to probabilities."""
    inputs = keras.Input((plan.image.height, plan.image.width, 3))
    x = keras.layers.Dropout(DROPOUT)(backbone.features(inputs))
    dense = keras.layers.Dense(len(plan.labels), activation="softmax")
    model = keras.Model(inputs, dense(x))
    dense.set_weights(head)
    return model
