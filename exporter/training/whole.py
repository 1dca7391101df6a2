"""Training networks on pixels: from random weights, or a pretrained one's upper part."""

from __future__ import annotations

from typing import Any, Final

import keras

from exporter.settings import Settings
from exporter.training import backbone as backbones
from exporter.training.backbone import Backbone
from exporter.training.compact import compact_cnn
from exporter.training.fitting import Fit, Pictures, compile_model, fit
from exporter.training.head import DROPOUT
from exporter.training.head import LEARNING_RATE as HEAD_LEARNING_RATE
from exporter.training.history import Stage
from exporter.training.options import TrainingOptions
from exporter.training.plan import Plan
from exporter.training.progress import TrainingReporter

EPOCHS: Final = 25
FINE_TUNING_EPOCHS: Final = 10
_PATIENCE: Final = 8
_FINE_TUNING_PATIENCE: Final = 3
_LEARNING_RATE: Final = 2e-3
_FINE_TUNING_PART: Final = 0.02
"""Of the head's learning rate: what is unfrozen is right already and must not be shaken."""
_UNFROZEN: Final = 0.3
"""The upper part of the layers, which know most about ImageNet and least about other pictures."""


def train(
    plan: Plan, options: TrainingOptions, settings: Settings, report: TrainingReporter
) -> tuple[Any, Stage]:
    """Train a whole network from random weights."""
    model = _random_network(plan, options, settings, report)
    training, validation = _pictures(plan, options)
    epochs = options.epochs or EPOCHS
    rate = options.learning_rate or _LEARNING_RATE
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * len(training))
    compile_model(model, schedule)
    how = Fit(stage="whole network", epochs=epochs, patience=_PATIENCE)
    return model, fit(model, training, validation, how, report)


def fine_tune(
    model: Any, backbone: Backbone, plan: Plan, options: TrainingOptions, report: TrainingReporter
) -> Stage:
    """Go on with the upper layers of the extractor; kept where the validation gets better.

    Batch normalisation stays as ImageNet left it: few pictures would move it for the worse.
    """
    _unfreeze_top(backbone.base)
    rate = options.learning_rate or HEAD_LEARNING_RATE
    compile_model(model, rate * _FINE_TUNING_PART)
    training, validation = _pictures(plan, options)
    before = float(model.evaluate(validation, verbose=0, return_dict=True)["loss"])
    epochs = min(options.epochs or FINE_TUNING_EPOCHS, FINE_TUNING_EPOCHS)
    how = Fit(stage="fine-tuning", epochs=epochs, patience=_FINE_TUNING_PATIENCE)
    return fit(model, training, validation, how, report, to_beat=before)


def _random_network(
    plan: Plan, options: TrainingOptions, settings: Settings, report: TrainingReporter
) -> Any:
    height, width = plan.image.height, plan.image.width
    if options.network == "compact":
        return compact_cnn(height, width, len(plan.labels))
    backbone = backbones.load(
        options.network_name, options.weights, (height, width), settings, report
    )
    inputs = keras.Input((height, width, 3))
    x = keras.layers.Dropout(DROPOUT)(backbone.trainable_features(inputs))
    return keras.Model(inputs, keras.layers.Dense(len(plan.labels), activation="softmax")(x))


def _pictures(plan: Plan, options: TrainingOptions) -> tuple[Pictures, Pictures]:
    pixels = plan.pixels.open()
    training = Pictures(
        pixels,
        plan.truth,
        plan.parts.training,
        batch_size=options.batch_size,
        weights=plan.class_weights,
        seed=options.seed,
        augmented=options.augment,
        mirror=options.mirror,
    )
    validation = Pictures(pixels, plan.truth, plan.parts.validation, batch_size=options.batch_size)
    return training, validation


def _unfreeze_top(base: Any) -> None:
    base.trainable = True
    weighted = [layer for layer in base.layers if layer.weights]
    first = round(len(weighted) * (1 - _UNFROZEN))
    for position, layer in enumerate(weighted):
        is_normalisation = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = position >= first and not is_normalisation
