"""How far two versions agree on the same pictures. Agreement is not accuracy: no label is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contract.card import ModelCard
from exporter.accuracy.answers import answer_all
from exporter.accuracy.datasets import PICTURES, PictureFile
from exporter.accuracy.versions import VersionAnswerer
from exporter.errors import FailedError, UsageError
from exporter.progress import Reporter

Row = npt.NDArray[np.float32]
"""Probabilities [C] in order of class index; NaN where they were not told."""


@dataclass(frozen=True, slots=True)
class VersionAnswers:
    """What one version said about all pictures."""

    name: str
    version: int
    card: ModelCard
    rows: tuple[Row | None, ...]
    """[C] for each picture; None: it is no image."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A version's most probable class of a picture."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Changed:
    """A picture that the two versions call differently."""

    file: Path
    a: Choice
    b: Choice


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two versions on the same pictures."""

    n: int
    """Pictures that both answered."""
    agreeing: int
    """Those with the same most probable class, by label."""
    max_abs_difference: float
    """Of any probability; over the classes that both have and told."""
    mean_abs_difference: float
    changed: tuple[Changed, ...]
    """Most certain first."""
    broken: tuple[Path, ...]
    labels_only_in_a: tuple[str, ...]
    labels_only_in_b: tuple[str, ...]

    @property
    def top_1_agreement(self) -> float:
        """A fraction."""
        return self.agreeing / self.n


def pictures(folder: Path) -> list[Path]:
    """The image files below a folder, by their suffix, in order of name.

    Raises:
        UsageError: no such folder, or none in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    found = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file()
    )
    if not found:
        raise UsageError(f"{folder}: no JPEG, PNG, GIF, BMP or WebP file in it")
    return found


def shown(file: Path, folder: Path) -> str:
    """A file's name as text for people: names are bytes, and not all of them are UTF-8."""
    return str(file.relative_to(folder)).encode(errors="backslashreplace").decode()


def ask_all(version: VersionAnswerer, files: Sequence[Path], report: Reporter) -> VersionAnswers:
    """Ask a version about every file.

    Raises:
        FailedError: it does not answer.
    """
    answered = answer_all(
        version,
        [PictureFile(file, str(file)) for file in files],
        lambda done, total: report.advance(version.name, done, total),
    )
    rows: list[Row | None] = [None] * len(files)
    told = answered.answers
    for position, indices, probabilities in zip(
        answered.positions, told.class_indices, told.probabilities, strict=True
    ):
        row = np.full(len(version.classes), np.nan, np.float32)
        row[indices] = probabilities
        rows[position] = row
    return VersionAnswers(version.model_name, version.version, version.card, tuple(rows))


def compare(a: VersionAnswers, b: VersionAnswers, files: Sequence[Path]) -> Agreement:
    """Hold the answers against each other.

    Raises:
        UsageError: the versions have no label in common.
        FailedError: no file is an image.
    """
    to_b = _mapping(a.card, b.card)
    shared = to_b >= 0
    if not shared.any():
        raise UsageError("the two versions have no label in common")
    changed, broken, differences = [], [], []
    for file, row, other in zip(files, a.rows, b.rows, strict=True):
        if row is None or other is None:
            broken.append(file)
            continue
        differences.append(np.abs(row[shared] - other[to_b[shared]]))
        best, best_other = int(np.nanargmax(row)), int(np.nanargmax(other))
        if to_b[best] != best_other:
            changed.append(Changed(file, _choice(a, row, best), _choice(b, other, best_other)))
    if not differences:
        raise FailedError(f"none of {len(files)} files is an image")
    table = np.stack(differences)
    return Agreement(
        n=len(differences),
        agreeing=len(differences) - len(changed),
        max_abs_difference=_over(np.nanmax, table),
        mean_abs_difference=_over(np.nanmean, table),
        changed=tuple(sorted(changed, key=lambda each: -each.a.probability - each.b.probability)),
        broken=tuple(broken),
        labels_only_in_a=_missing(a.card, b.card),
        labels_only_in_b=_missing(b.card, a.card),
    )


def _mapping(a: ModelCard, b: ModelCard) -> npt.NDArray[np.int64]:
    """The class of B for each class of A, -1 where B has none; by label, twins in their order."""
    if a.labels == b.labels:
        return np.arange(len(a.labels))
    indices = {key: index for index, key in enumerate(_keys(b.labels))}
    return np.array([indices.get(key, -1) for key in _keys(a.labels)])


def _keys(labels: Sequence[str]) -> Iterator[tuple[str, int]]:
    seen: dict[str, int] = {}
    for label in labels:
        seen[label] = seen.get(label, -1) + 1
        yield label, seen[label]


def _missing(card: ModelCard, other: ModelCard) -> tuple[str, ...]:
    known = set(other.labels)
    return tuple(label for label in card.labels if label not in known)


def _choice(answers: VersionAnswers, row: Row, index: int) -> Choice:
    return Choice(answers.card.labels[index], float(row[index]))


def _over(function: Any, table: npt.NDArray[np.float32]) -> float:
    """Gateways tell the most probable classes only; where both told none in common, nothing is."""
    if np.isnan(table).all():
        return 0.0
    return float(function(table.astype(np.float64)))
