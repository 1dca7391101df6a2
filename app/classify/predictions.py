"""From a model's output tensors to predictions; pure, one row at a time.

Our own models sort and label in their graph (`TopK`): scores and labels can never belong to
different versions. Other SavedModels answer raw scores (`Scores`): sorted and labelled here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from app.classify.answers import ClassPrediction
from app.errors import ModelServerError
from contract import signatures
from protocol.client import Array

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
    """Reads the outputs of our `top_k` signatures; `ids` by class index."""

    ids: Sequence[str | None]
    outputs: tuple[str, ...] = (
        signatures.PROBABILITIES,
        signatures.CLASS_INDICES,
        signatures.LABELS,
    )

    def read(self, outputs: Mapping[str, Array], row: int) -> list[ClassPrediction]:
        """See `Reader.read`."""
        try:
            probabilities = _floats(outputs[signatures.PROBABILITIES][row])
            indices = outputs[signatures.CLASS_INDICES][row]
            labels = outputs[signatures.LABELS][row]
            return [
                ClassPrediction(int(index), label.decode(), self.ids[int(index)], probability)
                for index, label, probability in zip(indices, labels, probabilities, strict=True)
            ]
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise ModelServerError("the model's top-k answer cannot be read") from error


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
        try:
            scores = np.asarray(outputs[self.output][row], dtype=np.float64).reshape(-1)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ModelServerError("the model's scores cannot be read") from error
        if self.labels and len(self.labels) != scores.size:
            raise ModelServerError(
                f"the model answers {scores.size} scores but its settings name "
                f"{len(self.labels)} labels"
            )
        if self.softmax:
            shifted = np.exp(scores - scores.max())
            scores = shifted / shifted.sum()
        best = np.argsort(-scores, kind="stable")[: self.k]
        return [
            ClassPrediction(
                int(index), self.labels[index] if self.labels else None, None, probability
            )
            for index, probability in zip(best, _floats(scores[best]), strict=True)
        ]


def _floats(values: Any) -> list[float]:
    """Numbers fit for JSON.

    Raises:
        ModelServerError: not finite: JSON cannot say it, and it is no probability.
    """
    array: npt.NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ModelServerError("the model answered a probability that is not a finite number")
    return [round(float(value), _DIGITS) for value in array]


def check_rows(outputs: Mapping[str, Array], rows: int) -> None:
    """Stub."""
    for array in outputs.values():
        if len(array) != rows:
            raise ModelServerError("the model answered another number of rows than it was asked")
