"""The worst mistakes: wrong answers that were given with the most confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from exporter.accuracy.datasets import LabelledFile
from exporter.accuracy.evaluation import Evaluation

SHOWN: Final = 24


@dataclass(frozen=True, slots=True)
class Mistake:
    """One picture that was taken for something else."""

    file: LabelledFile
    truth: int
    answered: int
    """Class indices."""
    probability: float
    """Of the answer."""


def worst(evaluation: Evaluation, count: int = SHOWN) -> Sequence[Mistake]:
    """The most confident wrong answers; ties in the order of the files."""
    probabilities = evaluation.answers.probabilities[:, 0]
    wrong = np.flatnonzero(~evaluation.right)
    chosen = wrong[np.argsort(-probabilities[wrong], kind="stable")][:count]
    return [
        Mistake(
            file=evaluation.files[i],
            truth=int(evaluation.truth[i]),
            answered=int(evaluation.best[i]),
            probability=float(probabilities[i]),
        )
        for i in chosen
    ]
