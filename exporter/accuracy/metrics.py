"""Figures from answers: accuracy, precision, recall, confusion, calibration. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from exporter.accuracy.intervals import Interval, wilson

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CALIBRATION_BINS: Final = 15
_FIVE: Final = 5


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose best probability lies in one fifteenth of 0..1."""

    pictures: int
    confidence: float
    """Mean of the best probabilities."""
    accuracy: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often a class was taken for another; only what occurred: there may be 21,000 classes."""

    truth: Indices
    predicted: Indices
    pictures: Indices
    """[M] each, by truth, then by predicted class."""

    def matrix(self, class_count: int) -> Indices:
        """All of it: [C,C], a row per true class."""
        matrix = np.zeros((class_count, class_count), dtype=np.int64)
        matrix[self.truth, self.predicted] = self.pictures
        return matrix


@dataclass(frozen=True, slots=True)
class Metrics:
    """What N answers are worth."""

    n: int
    top_1: float
    top_1_interval: Interval
    """Wilson's, at 95 %."""
    top_5: float | None
    """None where the model tells fewer than five of its classes."""
    ece: float
    """Expected calibration error: mean distance of confidence and accuracy over the bins."""
    bins: tuple[Bin | None, ...]
    """By confidence, ascending; None where nothing fell."""
    support: Indices
    """[C] pictures of each class."""
    precision: Floats
    """[C]; NaN for a class that was never predicted."""
    recall: Floats
    """[C]; NaN for a class without a picture."""
    confusion: Confusion


def measure(
    truth: Indices,
    class_indices: npt.NDArray[np.int32],
    probabilities: npt.NDArray[np.float32],
    class_count: int,
) -> Metrics:
    """All figures at once.

    Args:
        truth: [N], N >= 1.
        class_indices: [N,K], the most probable first.
        probabilities: [N,K], theirs.
        class_count: C.
    """
    best = class_indices[:, 0].astype(np.int64)
    right = best == truth
    support = np.bincount(truth, minlength=class_count)
    predicted = np.bincount(best, minlength=class_count)
    hits = np.bincount(truth[right], minlength=class_count)
    bins = calibration(probabilities[:, 0].astype(np.float64), right)
    return Metrics(
        n=len(truth),
        top_1=float(right.mean()),
        top_1_interval=wilson(int(right.sum()), len(truth)),
        top_5=_top_5(truth, class_indices, class_count),
        ece=expected_calibration_error(bins),
        bins=bins,
        support=support,
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, support),
        confusion=_confusion(truth, best, class_count),
    )


def calibration(confidence: Floats, right: npt.NDArray[np.bool_]) -> tuple[Bin | None, ...]:
    """Fifteen bins of equal width, each open below and closed above (Guo et al. 2017, 1706.04599).

    Args:
        confidence: [N], the best probability of each answer.
        right: [N], whether its class is the true one.
    """
    places = np.ceil(confidence * CALIBRATION_BINS).astype(np.int64) - 1
    places = np.clip(places, 0, CALIBRATION_BINS - 1)
    return tuple(_bin(confidence[places == i], right[places == i]) for i in range(CALIBRATION_BINS))


def expected_calibration_error(bins: tuple[Bin | None, ...]) -> float:
    """Mean distance of confidence and accuracy, weighted by the pictures of each bin."""
    filled = [each for each in bins if each is not None]
    total = sum(each.pictures for each in filled)
    return sum(each.pictures * abs(each.confidence - each.accuracy) for each in filled) / total


def _bin(confidence: Floats, right: npt.NDArray[np.bool_]) -> Bin | None:
    if not len(confidence):
        return None
    return Bin(len(confidence), float(confidence.mean()), float(right.mean()))


def _top_5(truth: Indices, class_indices: npt.NDArray[np.int32], class_count: int) -> float | None:
    if class_indices.shape[1] < min(_FIVE, class_count):
        return None
    return float((class_indices[:, :_FIVE] == truth[:, np.newaxis]).any(axis=1).mean())


def _ratio(part: Indices, whole: Indices) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratio


def _confusion(truth: Indices, best: Indices, class_count: int) -> Confusion:
    pairs, pictures = np.unique(truth * class_count + best, return_counts=True)
    return Confusion(pairs // class_count, pairs % class_count, pictures)
