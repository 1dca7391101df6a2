"""Fitting a network to pictures, epoch by epoch, until the validation says that it is enough."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

from exporter.errors import FailedError
from exporter.training.augmentation import augment
from exporter.training.history import Epoch, Stage
from exporter.training.pixels import Pixels
from exporter.training.progress import TrainingReporter
from exporter.training.split import Indices

_LOSS: Final = "val_loss"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How long and how to fit."""

    stage: str
    epochs: int
    patience: int
    """Epochs without a better validation after which it ends."""


class Pictures(keras.utils.PyDataset):  # type: ignore[misc]  # Keras ships no types
    """Batches of decoded pictures from the file on disk; augmented anew in every epoch."""

    def __init__(  # noqa: PLR0913 - one per fact, all but three by name
        self,
        pixels: Pixels,
        truth: Indices,
        positions: Indices,
        *,
        batch_size: int,
        weights: dict[int, float] | None = None,
        seed: int | None = None,
        augmented: bool = False,
        mirror: bool = False,
    ) -> None:
        super().__init__()
        self._pixels, self._truth, self._positions = pixels, truth, positions
        self._batch_size, self._weights = batch_size, weights
        self._seed, self._augmented, self._mirror = seed, augmented, mirror
        self._epoch = -1
        self.on_epoch_end()

    def __len__(self) -> int:
        return math.ceil(len(self._positions) / self._batch_size)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        chosen = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        images = self._pixels[chosen].astype(np.float32)
        if self._augmented:
            random = np.random.default_rng([self._seed or 0, self._epoch, number])
            images = augment(images, random, mirror=self._mirror)
        truth = self._truth[chosen]
        if self._weights is None:
            return images, truth
        return images, truth, np.array([self._weights[int(each)] for each in truth], np.float32)

    def on_epoch_end(self) -> None:
        """Draw the next epoch's order; without a seed it stays."""
        self._epoch += 1
        self._order = self._positions
        if self._seed is not None:
            random = np.random.default_rng([self._seed, self._epoch])
            self._order = random.permutation(self._positions)


class _Telling(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Keeps the figures of each epoch and tells them."""

    def __init__(self, most: int, report: TrainingReporter) -> None:
        super().__init__()
        self._most, self._report = most, report
        self.epochs: list[Epoch] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        figures = logs or {}
        if not all(math.isfinite(value) for value in figures.values()):
            raise FailedError(
                f"the loss of epoch {epoch + 1} is no number: the training runs away; use a "
                "smaller --learning-rate"
            )
        self.epochs.append(
            Epoch(
                loss=figures["loss"],
                accuracy=figures["accuracy"],
                validation_loss=figures["val_loss"],
                validation_accuracy=figures["val_accuracy"],
            )
        )
        self._report.epoch(epoch + 1, self._most, self.epochs[-1])


def compile_model(model: Any, learning_rate: Any) -> None:
    """Make a classifier of probabilities ready to be fitted."""
    model.compile(
        optimizer=keras.optimizers.AdamW(learning_rate, weight_decay=1e-4),
        loss="sparse_categorical_crossentropy",
        weighted_metrics=[],
        metrics=["accuracy"],
        jit_compile=False,
    )


def fit(
    model: Any,
    training: Any,
    validation: Any,
    how: Fit,
    report: TrainingReporter,
    *,
    to_beat: float = np.inf,
    **arguments: Any,
) -> Stage:
    """Fit, and keep the weights of the best epoch.

    Args:
        model: compiled.
        training: what `model.fit` takes.
        validation: the same.
        how: how long.
        report: told of every epoch.
        to_beat: the validation loss from before; where no epoch is below, the weights stay as
            they were.
        arguments: more of `model.fit`.

    Raises:
        FailedError: the loss is no number any more.
    """
    before = model.get_weights()
    stopping = keras.callbacks.EarlyStopping(
        monitor=_LOSS, patience=how.patience, restore_best_weights=True, mode="min"
    )
    telling = _Telling(how.epochs, report)
    model.fit(
        training,
        validation_data=validation,
        epochs=how.epochs,
        callbacks=[telling, stopping],
        verbose=0,
        **arguments,
    )
    losses: npt.NDArray[np.float64] = np.array([each.validation_loss for each in telling.epochs])
    best = int(np.argmin(losses)) + 1
    if not losses[best - 1] < to_beat:
        model.set_weights(before)
        best = 0
    return Stage(name=how.stage, epochs=tuple(telling.epochs), best=best)
