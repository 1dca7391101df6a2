"""Whether answers would be right if the labels stood in another order: shifted, or shuffled.

The best order is looked for on one half of the pictures and measured on the other, and the other
way round: of a thousand classes with a picture each, some order always fits all of them, and only
an order that holds for pictures it was not made from says something about the labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from exporter.accuracy.intervals import paired_difference

Indices = npt.NDArray[np.int64]

_CONFIDENCE: Final = 0.99
_LEAST_GAIN: Final = 0.02
"""Two classes that a weak but honest model takes for each other gain less, unless there are few."""
_MAX_ASSIGNED: Final = 3000
"""Classes with pictures: the assignment takes time with the third power, a second here."""


@dataclass(frozen=True, slots=True)
class OtherOrder:
    """An order of the labels that fits far better than the model's."""

    accuracy: float
    """With the model's own order."""
    other_accuracy: float
    """With this one, on pictures that it was not made from."""
    shift: int | None
    """By how many places labels must move to higher indices; None: another order altogether."""

    def __str__(self) -> str:
        if self.shift is None:
            return (
                f"labels seem to be in another order than at training: accuracy "
                f"{self.accuracy:.2f}, with the labels reordered {self.other_accuracy:.2f}"
            )
        place = "one" if abs(self.shift) == 1 else str(abs(self.shift))
        return (
            f"labels seem shifted by {place}: accuracy {self.accuracy:.2f}, with labels moved "
            f"by {'one' if self.shift == 1 else self.shift} {self.other_accuracy:.2f}"
        )


def better_order(truth: Indices, best: Indices, class_count: int) -> OtherOrder | None:
    """The order under which clearly more answers were right; None: there is none.

    A shift is the simpler story, and told unless another order is right clearly more often still.

    Args:
        truth: [N], class indices of the pictures.
        best: [N], the model's first answers.
        class_count: C.
    """
    own = best == truth
    shifted = _right_under(_shift, truth, best, class_count)
    reordered = _right_under(_assignment, truth, best, class_count)
    is_shift = not _is_clearly_better(reordered, shifted)
    other = shifted if is_shift else reordered
    if not _is_clearly_better(other, own):
        return None
    shift = -_steps(_shift(truth, best, class_count)) if is_shift else None
    return OtherOrder(float(own.mean()), float(other.mean()), shift)


def _right_under(
    find: Callable[[Indices, Indices, int], Indices],
    truth: Indices,
    best: Indices,
    class_count: int,
) -> npt.NDArray[np.bool_]:
    """[N]: which answers would be right, under the order that the other half suggests."""
    half = _halves(truth)
    moved = np.empty_like(best)
    for part in (half, ~half):
        order = find(truth[~part], best[~part], class_count)
        moved[part] = order[best[part]]
    right: npt.NDArray[np.bool_] = moved == truth
    return right


def _is_clearly_better(other: npt.NDArray[np.bool_], own: npt.NDArray[np.bool_]) -> bool:
    gain = paired_difference(other, own, _CONFIDENCE)
    return gain.interval.low > 0 and gain.difference >= _LEAST_GAIN


def _halves(truth: Indices) -> npt.NDArray[np.bool_]:
    """Every second picture of each class."""
    half = np.zeros(len(truth), dtype=np.bool_)
    order = np.argsort(truth, kind="stable")
    half[order[::2]] = True
    return half


def _shift(truth: Indices, best: Indices, class_count: int) -> Indices:
    """[C]: the class that each answer means under the shift that fits most."""
    if not len(truth):
        return np.arange(class_count)
    steps = np.bincount((truth - best) % class_count, minlength=class_count)
    return (np.arange(class_count) + int(steps.argmax())) % class_count


def _steps(order: Indices) -> int:
    """How far answers move, the shorter way round: 1, -1 and so on."""
    steps = int(order[0])
    return steps if steps <= len(order) // 2 else steps - len(order)


def _assignment(truth: Indices, best: Indices, class_count: int) -> Indices:
    """[C]: the class that each answer means under the one-to-one order that fits most."""
    order = np.arange(class_count)
    involved = np.union1d(truth, best)
    if len(involved) > _MAX_ASSIGNED or not len(involved):
        return order
    counts = np.zeros((len(involved), len(involved)))
    np.add.at(counts, (np.searchsorted(involved, best), np.searchsorted(involved, truth)), 1)
    # Among orders that fit alike, the model's own: what was never answered stays where it is.
    counts += np.eye(len(involved)) * 1e-3
    answers, meant = linear_sum_assignment(counts, maximize=True)
    order[involved[answers]] = involved[meant]
    return order
