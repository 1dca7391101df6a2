"""Everything that is settled before TensorFlow is imported: pictures, classes, split, network."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from contract.image_spec import ImageSpec
from contract.opening import Limits, open_image
from contract.pixels import ImageError
from exporter.accuracy.answers import read_file
from exporter.accuracy.datasets import LabelledFile, name_of
from exporter.accuracy.evaluation import named
from exporter.accuracy.intervals import is_above_guessing
from exporter.errors import UsageError
from exporter.progress import Reporter
from exporter.training import pixels, split
from exporter.training.applications import SIDES
from exporter.training.folder import PhotoFolder, look
from exporter.training.options import TrainingOptions
from exporter.training.pixels import PixelFile
from exporter.training.split import Indices, Split

_LEAST_PICTURES: Final = 3
"""Of a class: one to train on, one to stop by, one to measure with."""
_COMPACT_SIDES: Final = (32, 128)
_COMPACT_STEP: Final = 16
_PEEKED: Final = 64
_MOST_COPIES: Final = 4
_MOST_AUGMENTED_ROWS: Final = 20_000
_LOPSIDED: Final = 1.5
_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be trained on what."""

    folder: Path
    labels: tuple[str, ...]
    """[C]"""
    image: ImageSpec
    pixels: PixelFile
    files: tuple[LabelledFile, ...]
    """[N], in the order of the pixels."""
    truth: Indices
    """[N], class indices."""
    parts: Split
    """Positions in these."""
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The folder's, for cards and reports."""
        return name_of(self.folder)

    @property
    def counts(self) -> tuple[tuple[str, int, int, int], ...]:
        """By class: label, pictures to train on, to stop by, to measure with."""
        parts = (self.parts.training, self.parts.validation, self.parts.test)
        by_part = [np.bincount(self.truth[part], minlength=len(self.labels)) for part in parts]
        return tuple(
            (label, *(int(counts[index]) for counts in by_part))  # type: ignore[misc]  # three
            for index, label in enumerate(self.labels)
        )

    @property
    def class_weights(self) -> dict[int, float]:
        """What a picture of each class counts, so that all classes count the same together."""
        counts = np.bincount(self.truth[self.parts.training], minlength=len(self.labels))
        weights = counts.sum() / (len(counts) * counts)
        return {index: float(weight) for index, weight in enumerate(weights)}

    @property
    def augmented_copies(self) -> int:
        """How many augmented copies of a picture a frozen extractor looks at.

        Its features are computed once and cached, and then the head takes seconds whatever its
        number of epochs; new copies in every epoch would cost the extractor's time in each of
        them. Four copies teach the head what an augmentation may change; of large folders, whose
        pictures differ enough by themselves, there are fewer.
        """
        few = _MOST_AUGMENTED_ROWS // max(1, len(self.parts.training))
        return min(_MOST_COPIES, few)


def make(options: TrainingOptions, scratch: Path, report: Reporter) -> Plan:
    """Look at the folder, decode its pictures and divide them.

    Args:
        options: of the training.
        scratch: where the decoded pictures go.
        report: told how far it is.

    Raises:
        UsageError: there are too few pictures or classes; with --strict: a file is broken.
        FailedError: there is no room for the decoded pictures.
    """
    found = look(options.folder)
    image = _image(options, found)
    report.step(f"reading {len(found.files):,} pictures")
    decoded = pixels.write(
        found.files,
        image,
        scratch / "pixels",
        lambda done, total: report.advance("reading pictures", done, total),
    )
    used = split.distinct(decoded.files, decoded.digests)
    truth = np.array([found.labels.index(file.label) for file in decoded.files], dtype=np.int64)
    faults = [f"broken file {each}" for each in decoded.broken]
    faults += [
        f"the same picture in several classes: {' and '.join(names)}"
        for names in used.contradictions
    ]
    if faults and options.strict:
        raise UsageError(f"--strict: {named(faults)}")
    _require_enough(found.labels, truth[used.positions], faults)
    parts = split.split(
        truth[used.positions],
        validation=options.validation,
        test=options.test,
        seed=options.seed,
    )
    _require_telling(len(parts.test), len(found.labels), options.test)
    return Plan(
        folder=options.folder,
        labels=found.labels,
        image=image,
        pixels=decoded.pixels,
        files=decoded.files,
        truth=truth,
        parts=Split(
            used.positions[parts.training],
            used.positions[parts.validation],
            used.positions[parts.test],
        ),
        notes=tuple(_notes(found, truth[used.positions], faults, used.copies)),
    )


def _image(options: TrainingOptions, found: PhotoFolder) -> ImageSpec:
    if options.image_size:
        height, width = options.image_size
    else:
        is_compact = options.network == "compact"
        height = width = _compact_side(found) if is_compact else SIDES[options.network_name]
    return ImageSpec(height=height, width=width, fit=options.fit)


def _compact_side(found: PhotoFolder) -> int:
    """The pictures' own size, within what a small network can look at."""
    every = max(1, len(found.files) // _PEEKED)
    sides = [side for file in found.files[::every] if (side := _shorter_side(file.path))]
    least, most = _COMPACT_SIDES
    median = float(np.median(sides)) if sides else float(most)
    return int(min(most, max(least, _COMPACT_STEP * round(median / _COMPACT_STEP))))


def _shorter_side(path: Path) -> int | None:
    try:
        with open_image(read_file(path), Limits()) as image:
            return min(image.size)
    except (ImageError, OSError):
        return None  # told as broken when it is decoded


def _require_enough(labels: tuple[str, ...], truth: Indices, faults: list[str]) -> None:
    counts = np.bincount(truth, minlength=len(labels))
    few = [
        f"{label!r} has {count}"
        for label, count in zip(labels, counts, strict=True)
        if count < _LEAST_PICTURES
    ]
    if few:
        why = f" ({named(faults)})" if faults else ""
        raise UsageError(
            f"too few pictures that can be used: {named(few)}{why}; a class needs "
            f"{_LEAST_PICTURES} at least, to train on, to stop by and to measure with, and some "
            "dozens to be any good"
        )


def _require_telling(tested: int, class_count: int, fraction: float) -> None:
    """The gate refuses who is no better than guessing: with so few pictures nobody could be."""
    if not is_above_guessing(tested, tested, class_count):
        raise UsageError(
            f"{tested} held-out pictures of {class_count} classes cannot prove anything, were all "
            f"of them right: add pictures, or hold out more of them than --test {fraction:g}"
        )


def _notes(found: PhotoFolder, truth: Indices, faults: list[str], copies: int) -> list[str]:
    notes = [f"left out: {fault}" for fault in faults[:_TOLD]]
    if len(faults) > _TOLD:
        notes.append(f"left out: {len(faults) - _TOLD} more files of this kind")
    if copies:
        notes.append(f"{copies} copies of other pictures are left out")
    if found.left_out:
        kinds = ", ".join(f"{kind} ({count})" for kind, count in found.left_out)
        notes.append(f"left out, as no JPEG, PNG, GIF, BMP or WebP: {kinds}")
    counts = Counter(truth.tolist())
    most, least = max(counts.values()), min(counts.values())
    if most > _LOPSIDED * least:
        notes.append(f"classes have {least} to {most} pictures: rarer ones count more (weights)")
    return notes
