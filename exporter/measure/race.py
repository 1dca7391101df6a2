"""Two ways to the same answer, side by side: which is faster, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from exporter.measure.timing import Budget, Measured, figure, interleave

Images = npt.NDArray[np.uint8]
Answer = Callable[[Images], npt.NDArray[np.float32]]

GATE_BUDGET: Final = Budget(seconds=1.5)
"""Of the measurements within an export."""


@dataclass(frozen=True, slots=True)
class Gain:
    """A candidate against what it would replace, at one batch size."""

    batch_size: int
    before_ms: float
    """Medians."""
    after_ms: float
    first_call_ms: float
    """The candidate's, at this batch size."""

    @property
    def factor(self) -> float:
        """Above 1: the candidate is faster."""
        return self.before_ms / self.after_ms

    def __str__(self) -> str:
        return (
            f"{self.factor:.2f}x at batch {self.batch_size} "
            f"({figure(self.before_ms)} to {figure(self.after_ms)} ms)"
        )


def batch_of(pixels: Images, size: int) -> Images:
    """As many images as wanted, uint8 [size,H,W,3], by repeating [N,H,W,3]."""
    return np.resize(pixels, (size, *pixels.shape[1:]))


def race(
    before: Answer, after: Answer, pixels: Images, batch_size: int, budget: Budget = GATE_BUDGET
) -> Gain:
    """Measure both in turns."""
    measured = time_answers(
        {"before": before, "after": after}, batch_of(pixels, batch_size), budget
    )
    return Gain(
        batch_size,
        measured["before"].warm.p50_ms,
        measured["after"].warm.p50_ms,
        measured["after"].first_call_ms,
    )


def time_answers(
    answers: Mapping[str, Answer], images: Images, budget: Budget
) -> dict[str, Measured]:
    """Measure ways to answer one batch, in turns."""

    def bound(answer: Answer) -> Callable[[], object]:
        return lambda: answer(images)

    return interleave({name: bound(answer) for name, answer in answers.items()}, budget)


def of_graph(score: Callable[[Any], Any], *, height: int, width: int) -> Answer:
    """A scorer of tensors as one of arrays, in a graph of its own as it will be when served.

    Called as it is, a frozen function takes a millisecond of Python.
    """
    import tensorflow as tf  # noqa: PLC0415 - the rest needs none

    from exporter.graph.freeze import trace_as_it_is  # noqa: PLC0415 - as above

    concrete = trace_as_it_is(score, height=height, width=width)
    return lambda images: np.asarray(concrete(tf.constant(images)))


def describe(gains: Sequence[Gain]) -> str:
    """For people: `1.42x at batch 1 (22.9 to 16.1 ms), 1.50x at batch 32 (…)`."""
    return ", ".join(map(str, gains))
