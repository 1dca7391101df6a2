"""Is the new version worse than the published one, on the same pictures?

The rule is one of the point estimate: refused when accuracy falls by more than `--max-regression`.
An interval decides nothing, it is told. To refuse only what is worse beyond doubt would let a loss
of three points pass on a few hundred pictures, whose interval is as wide; to let pass only what is
beyond doubt no worse would refuse a new version that errs on one picture more. What the pictures
cannot exclude is said, so that somebody can collect more of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from exporter.accuracy.evaluation import Evaluation
from exporter.accuracy.intervals import PairedDifference, paired_difference
from exporter.errors import RefusedError, UsageError
from exporter.proof.lines import GateLine

STEP: Final = "regression"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A new version against another, picture by picture."""

    against: str
    new_top_1: float
    old_top_1: float
    paired: PairedDifference
    """The other's accuracy less the new one's: above 0 where the new one is worse."""

    def __str__(self) -> str:
        interval = self.paired.interval
        return (
            f"top-1 {self.new_top_1:.4f}, {self.against} {self.old_top_1:.4f} on the same "
            f"{self.paired.n} pictures: {_points(-self.paired.difference)} "
            f"(95 % interval {_points(-interval.high)} to {_points(-interval.low)}; "
            f"{self.paired.only_first} only right there, {self.paired.only_second} only here)"
        )


def compare(new: Evaluation, old: Evaluation) -> Comparison:
    """Hold two evaluations against each other on the pictures that both answered.

    Raises:
        UsageError: there are none.
    """
    places = {file.path: place for place, file in enumerate(old.files)}
    pairs = [
        (place, places[file.path]) for place, file in enumerate(new.files) if file.path in places
    ]
    if not pairs:
        raise UsageError(f"{new.target} and {old.target} have no class of {new.dataset} in common")
    ours, theirs = np.array(pairs).T
    new_right, old_right = new.right[ours], old.right[theirs]
    return Comparison(
        against=old.target,
        new_top_1=float(new_right.mean()),
        old_top_1=float(old_right.mean()),
        paired=paired_difference(old_right, new_right),
    )


def require(comparison: Comparison, max_regression: float) -> GateLine:
    """Apply the rule.

    Args:
        comparison: new against old.
        max_regression: fraction of the pictures; 0.01 is one point.

    Raises:
        RefusedError: accuracy falls by more.
    """
    allowed = round(max_regression * comparison.paired.n, 6)  # 0.03 * 100 is 3.0000000000000004
    lost = comparison.paired.only_first - comparison.paired.only_second
    if lost > allowed:
        raise RefusedError(
            f"worse than {comparison.against}: {comparison}; "
            f"allowed are {_points(-max_regression)} (--max-regression {max_regression:g})",
            step=STEP,
        )
    return GateLine(step=STEP, found=str(comparison), bound=_points(-max_regression))


def doubt(comparison: Comparison, max_regression: float) -> str | None:
    """What the pictures cannot exclude, if it is more than what is allowed."""
    worst = comparison.paired.interval.high
    if worst <= max_regression:
        return None
    return (
        f"{comparison.paired.n} pictures cannot exclude a loss of {100 * worst:.1f} points against "
        f"{comparison.against}, more than --max-regression {max_regression:g}; more of them would"
    )


def _points(fraction: float) -> str:
    return f"{100 * fraction + 0.0:+.2f} points"  # + 0.0: there is no -0.00
