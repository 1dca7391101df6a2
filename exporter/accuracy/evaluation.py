"""One classifier on one set of labelled pictures: the flow, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from contract import card
from contract.card import ClassInfo
from exporter.accuracy import datasets
from exporter.accuracy.answers import Answered, Answerer, Answers, Broken, answer_all
from exporter.accuracy.datasets import LabelledFile
from exporter.accuracy.matching import UnknownLabel, match
from exporter.accuracy.metrics import Metrics, measure
from exporter.errors import UsageError
from exporter.progress import Reporter

_NAMED: Final = 5

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Pictures on disk under the name that reports give them."""

    name: str
    files: tuple[LabelledFile, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a classifier answered to labelled pictures, and what that is worth."""

    target: str
    """Who was asked."""
    dataset: str
    classes: Sequence[ClassInfo]
    files: tuple[LabelledFile, ...]
    """[N], those that were answered."""
    truth: Indices
    """[N], class indices."""
    answers: Answers
    metrics: Metrics
    broken: tuple[Broken, ...]
    unknown: tuple[UnknownLabel, ...]

    @property
    def best(self) -> Indices:
        """[N], the most probable class of each."""
        return self.answers.class_indices[:, 0].astype(np.int64)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """[N], whether that is the true one."""
        right: npt.NDArray[np.bool_] = self.best == self.truth
        return right


def read_set(path: Path) -> LabelledSet:
    """The labelled pictures of a folder, a CSV file or a list.

    Raises:
        UsageError: there are none.
    """
    return LabelledSet(datasets.name_of(path), datasets.read(path))


def evaluate(answerer: Answerer, pictures: LabelledSet, report: Reporter) -> Evaluation:
    """Ask for every picture whose class the classifier has.

    Raises:
        UsageError: it has none of the classes, or every file is broken.
        FailedError: it does not answer.
    """
    matched = match([file.label for file in pictures.files], answerer.classes)
    known = [file for file in pictures.files if file.label in matched.indices]
    if not known:
        raise UsageError(
            f"{pictures.name}: {answerer.name} has none of its classes: {named(matched.unknown)}"
        )
    answered = answer_all(
        answerer,
        known,
        lambda done, total: report.advance(f"asking {answerer.name}", done, total),
    )
    if not len(answered.positions):
        raise UsageError(
            f"{pictures.name}: none of {len(known)} pictures can be read: {named(answered.broken)}"
        )
    return _evaluation(answerer, pictures.name, known, matched.indices, answered, matched.unknown)


def _evaluation(
    answerer: Answerer,
    dataset: str,
    known: Sequence[LabelledFile],
    indices: Mapping[str, int],
    answered: Answered,
    unknown: tuple[UnknownLabel, ...],
) -> Evaluation:
    files = tuple(known[position] for position in answered.positions)
    truth = np.array([indices[file.label] for file in files], dtype=np.int64)
    given = answered.answers
    return Evaluation(
        target=answerer.name,
        dataset=dataset,
        classes=answerer.classes,
        files=files,
        truth=truth,
        answers=given,
        metrics=measure(truth, given.class_indices, given.probabilities, len(answerer.classes)),
        broken=answered.broken,
        unknown=unknown,
    )


def named(items: Sequence[object]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    return "; ".join(str(item) for item in items[:_NAMED]) + more


def for_card(evaluation: Evaluation) -> card.Evaluation:
    """What the model card keeps of a graph's evaluation, which tells ten classes per picture."""
    metrics = evaluation.metrics
    assert metrics.top_5 is not None  # noqa: S101 - see above, for the type checker
    return card.Evaluation(
        dataset=evaluation.dataset,
        n=metrics.n,
        top_1=metrics.top_1,
        top_5=metrics.top_5,
        ece=metrics.ece,
    )
