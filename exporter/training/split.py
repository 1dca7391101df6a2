"""Which pictures train, which say when to stop, which measure: stratified, seeded, without copies.

Of pictures that are the same pixel by pixel one is used, so that none is trained on and measured
with. The same picture in two classes contradicts itself and teaches neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exporter.accuracy.datasets import LabelledFile

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Distinct:
    """Pictures without their copies."""

    positions: Indices
    """Ascending: the first of each picture."""
    copies: int
    """How many are left out because another one is the same."""
    contradictions: tuple[tuple[str, ...], ...]
    """Names of files that are the same picture in several classes; none is used."""


@dataclass(frozen=True, slots=True)
class Split:
    """Positions of pictures, each in one part only."""

    training: Indices
    validation: Indices
    test: Indices


def distinct(files: Sequence[LabelledFile], digests: Sequence[bytes]) -> Distinct:
    """Find out which pictures are used: the first of each, unless its copies contradict it."""
    groups: defaultdict[bytes, list[int]] = defaultdict(list)
    for position, digest in enumerate(digests):
        groups[digest].append(position)
    kept, contradictions, copies = [], [], 0
    for positions in groups.values():
        if len({files[position].label for position in positions}) > 1:
            contradictions.append(tuple(files[position].name for position in positions))
        else:
            kept.append(positions[0])
            copies += len(positions) - 1
    return Distinct(np.array(sorted(kept), dtype=np.int64), copies, tuple(contradictions))


def split(truth: Indices, *, validation: float, test: float, seed: int) -> Split:
    """Divide the pictures of each class.

    Args:
        truth: [N], their class indices; three pictures of each class at least.
        validation: part of each class, one picture at least.
        test: the same.
        seed: of the order in which they are drawn.
    """
    parts: tuple[list[Indices], ...] = ([], [], [])
    for class_index in np.unique(truth):
        positions = np.flatnonzero(truth == class_index)
        np.random.default_rng([seed, int(class_index)]).shuffle(positions)
        held_out = _share(test, len(positions), most=len(positions) - 2)
        stopping = _share(validation, len(positions), most=len(positions) - held_out - 1)
        cuts = [held_out, held_out + stopping]
        for part, some in zip(parts, np.split(positions, cuts), strict=True):
            part.append(some)
    tested, validating, training = (np.sort(np.concatenate(part)) for part in parts)
    return Split(training, validating, tested)


def _share(fraction: float, pictures: int, *, most: int) -> int:
    return max(1, min(round(fraction * pictures), most))
