"""What an evaluation must show before a version is published.

Its labels must stand in the order of training, it must be better than guessing, and as right as
`--min-accuracy` says.
"""

from __future__ import annotations

from typing import Final

from exporter.accuracy.evaluation import Evaluation, named
from exporter.accuracy.intervals import is_above_guessing
from exporter.accuracy.label_order import better_order
from exporter.errors import RefusedError, UsageError
from exporter.proof.lines import GateLine

STEP: Final = "accuracy"


def require_order(evaluation: Evaluation) -> None:
    """Labels must be those of the set, in the order of training; asked before anything else.

    Raises:
        UsageError: the set names classes that the model does not have.
        RefusedError: in another order they would be right clearly more often.
    """
    if evaluation.unknown:
        raise UsageError(
            f"{evaluation.dataset}: classes that the model does not have: "
            f"{named(evaluation.unknown)}; correct the labels, or leave those pictures out"
        )
    other = better_order(evaluation.truth, evaluation.best, len(evaluation.classes))
    if other:
        raise RefusedError(f"{other}; check --labels", step=STEP)


def require_accuracy(evaluation: Evaluation, min_accuracy: float | None) -> GateLine:
    """Better than guessing, and as right as somebody wants it.

    Raises:
        RefusedError: it is not.
    """
    metrics = evaluation.metrics
    class_count = len(evaluation.classes)
    hits = int(evaluation.right.sum())
    if not is_above_guessing(hits, metrics.n, class_count):
        raise RefusedError(
            f"{hits} of {metrics.n} pictures right is no better than guessing among {class_count} "
            "classes; check --labels and --preprocess, and that the pictures are of these classes",
            step=STEP,
        )
    if min_accuracy is not None and metrics.top_1 < min_accuracy:
        raise RefusedError(
            f"top-1 accuracy {metrics.top_1:.4f} on {metrics.n} pictures, wanted are "
            f"{min_accuracy:g} (--min-accuracy)",
            step=STEP,
        )
    return _line(evaluation, min_accuracy)


def _line(evaluation: Evaluation, min_accuracy: float | None) -> GateLine:
    metrics, interval = evaluation.metrics, evaluation.metrics.top_1_interval
    top_5 = "" if metrics.top_5 is None else f", top-5 {metrics.top_5:.4f}"
    broken = f", {len(evaluation.broken)} broken files" if evaluation.broken else ""
    return GateLine(
        step=STEP,
        found=f"top-1 {metrics.top_1:.4f} ({interval.low:.4f} to {interval.high:.4f} at 95 %)"
        f"{top_5}, calibration error {metrics.ece:.4f} on {metrics.n} pictures of "
        f"{evaluation.dataset}{broken}",
        bound=None if min_accuracy is None else f"top-1 {min_accuracy:g}",
    )
