"""Top-1 on labelled pictures, for `compare`'s last column; `evaluate` tells more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from contract.card import ClassInfo
from contract.pixels import ImageSpec
from exporter.accuracy import datasets
from exporter.accuracy.answers import answer_all
from exporter.accuracy.datasets import LabelledFile
from exporter.accuracy.in_process import InProcess
from exporter.accuracy.matching import match
from exporter.errors import UsageError
from exporter.measure.race import Answer


def top_1(answer: Answer, folder: Path, image: ImageSpec, labels: Sequence[str] | None) -> float:
    """The share of pictures whose first class is the one that they are labelled with.

    Args:
        answer: uint8 [N,H,W,3] to float32 [N,C].
        folder: labelled by the model's labels, or, if none of them is one and there is one for
            each class, by names in the order of the classes.
        image: how files become pixels.
        labels: in order of class index; None: nobody says.

    Raises:
        UsageError: no pictures, one is broken, or their labels are not the model's classes.
    """
    files = datasets.read(folder)
    indices = _indices(files, labels, folder)
    asked = InProcess("the model", (), image, answer)
    answered = answer_all(asked, files, lambda _done, _total: None)
    if answered.broken:
        raise UsageError(f"--images {folder}: {answered.broken[0]}")
    truth = [indices[file.label] for file in files]
    return float(np.mean(answered.answers.class_indices[:, 0] == truth))


def _indices(
    files: Sequence[LabelledFile], labels: Sequence[str] | None, folder: Path
) -> Mapping[str, int]:
    """Class indices by what the pictures are labelled with."""
    given = [file.label for file in files]
    in_order = sorted(set(given))
    matched = match(given, _classes(in_order if labels is None else labels))
    if labels is not None and not matched.indices and len(in_order) == len(labels):
        matched = match(given, _classes(in_order))
    if matched.unknown:
        unknown = matched.unknown[0]
        hint = f" ({unknown.hint})" if unknown.hint else ""
        raise UsageError(f"--images {folder}: the model has no class {unknown.label!r}{hint}")
    return matched.indices


def _classes(labels: Sequence[str]) -> list[ClassInfo]:
    return [ClassInfo(index=index, label=label) for index, label in enumerate(labels)]
