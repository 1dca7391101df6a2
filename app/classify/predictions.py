"""From a model's output tensors to predictions; pure, one row at a time.

Our own models sort and label in their graph (`TopK`): scores and labels can never belong to
different versions. Other SavedModels answer raw scores (`Scores`): sorted and labelled here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from app.classify.answers import ClassPrediction
from app.errors import ModelServerError
from contract import signatures
from protocol.client import Array

_TOLERANCE: Final = 0.01
"""How far probabilities may be from what they should be: bfloat16 has two decimal digits."""
_MAX_SCORES: Final = 1 << 18
"""Classes of a foreign model. To sort so many takes 20 ms, which hold up the event loop."""
_NUMBERS: Final = "iuf"
_INTEGERS: Final = "iu"
"""Kinds of NumPy's types."""
_DIGITS: Final = 7
"""float32 holds no more significant decimal digits than this near 1."""


class Reader(Protocol):
    """Reads one row of a batch's outputs."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs that it needs."""
        ...

    def read(self, outputs: Mapping[str, Array], row: int) -> list[ClassPrediction]:
        """All predictions of the row, most probable first."""
        ...


@dataclass(frozen=True, slots=True)
class TopK:
    """Reads the outputs of our `top_k` signatures; `ids` by class index, of all classes."""

    ids: Sequence[str | None]
    sums_to_one: bool = False
    """Whether the probabilities of all classes do: those of one label per image."""
    outputs: tuple[str, ...] = (
        signatures.PROBABILITIES,
        signatures.CLASS_INDICES,
        signatures.LABELS,
    )

    def read(self, outputs: Mapping[str, Array], row: int) -> list[ClassPrediction]:
        """See `Reader.read`."""
        try:
            probabilities, indices, labels = (outputs[name][row] for name in self.outputs)
            self._check_kinds(probabilities, indices, labels)
            values, classes = probabilities.tolist(), indices.tolist()
            self._check(values, classes)
            return [
                ClassPrediction(index, label.decode(), self.ids[index], round(probability, _DIGITS))
                for index, label, probability in zip(classes, labels.tolist(), values, strict=True)
            ]
        except (LookupError, ValueError, TypeError, AttributeError) as error:
            raise ModelServerError(
                "the model's top-k answer cannot be read", reason=str(error)
            ) from error

    def _check_kinds(self, probabilities: Array, indices: Array, labels: Array) -> None:
        """ValueError where these cannot be probabilities of classes that there are."""
        if not probabilities.shape == indices.shape == labels.shape:
            raise ValueError("the outputs have different shapes")
        if probabilities.ndim != 1 or not 0 < probabilities.size <= len(self.ids):
            raise ValueError(f"a row of shape {probabilities.shape} for {len(self.ids)} classes")
        if probabilities.dtype.kind not in _NUMBERS or indices.dtype.kind not in _INTEGERS:
            raise ValueError(
                f"{probabilities.dtype} for probabilities, {indices.dtype} for indices"
            )

    def _check(self, values: Sequence[float], classes: Sequence[int]) -> None:
        """ValueError where these are none; they are few, and Python's loops beat NumPy's then."""
        if not all(0 <= value <= 1 + _TOLERANCE for value in values):  # nor NaN
            raise ValueError("a probability is none")
        if any(after > before for before, after in pairwise(values)):
            raise ValueError("the probabilities do not descend")
        if self.sums_to_one and sum(values) > 1 + _TOLERANCE:
            raise ValueError("the probabilities add up to more than 1")
        if min(classes) < 0 or max(classes) >= len(self.ids):
            raise ValueError("a class that there is not")
        if len(set(classes)) != len(classes):
            raise ValueError("a class is there twice")


@dataclass(frozen=True, slots=True)
class Scores:
    """Reads one output of scores [N,C]; `labels` may be empty, ties go to the lower index."""

    output: str
    k: int
    labels: Sequence[str] = ()
    softmax: bool = False

    @property
    def outputs(self) -> tuple[str, ...]:
        """The one output."""
        return (self.output,)

    def read(self, outputs: Mapping[str, Array], row: int) -> list[ClassPrediction]:
        """See `Reader.read`."""
        scores = self._scores(outputs, row)
        if self.labels and len(self.labels) != scores.size:
            raise ModelServerError(
                f"the model answers {scores.size} scores but its settings name "
                f"{len(self.labels)} labels"
            )
        if self.softmax:
            with np.errstate(over="ignore"):  # the distance of two scores may be infinite
                shifted = np.exp(scores - scores.max())
            scores = shifted / shifted.sum()
        best = np.argsort(-scores, kind="stable")[: self.k]
        return [
            ClassPrediction(
                int(index),
                self.labels[index] if self.labels else None,
                None,
                round(float(scores[index]), _DIGITS),
            )
            for index in best
        ]

    def _scores(self, outputs: Mapping[str, Array], row: int) -> npt.NDArray[np.float64]:
        """The row's scores, finite: JSON has no other numbers. They need not be probabilities."""
        try:
            found = np.asarray(outputs[self.output][row])
        except LookupError as error:
            raise ModelServerError("the model's scores are missing") from error
        if found.dtype.kind not in _NUMBERS or not 0 < found.size <= _MAX_SCORES:
            raise ModelServerError(
                "the model's scores cannot be read", reason=f"{found.dtype} {found.shape}"
            )
        scores = found.astype(np.float64).reshape(-1)
        if not np.isfinite(scores).all():
            raise ModelServerError("the model answered a score that is not a finite number")
        return scores


def check_rows(outputs: Mapping[str, Array], rows: int) -> None:
    """Refuse an answer to a batch in which some output has not one row for each image.

    Raises:
        ModelServerError: whose answer is whose cannot be told.
    """
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != rows:
            raise ModelServerError(
                "the model answered another number of images than it was asked about",
                reason=f"{name} has the shape {array.shape}, {rows} rows were asked about",
            )
