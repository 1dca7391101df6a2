"""Latencies: the figures of a sample, and the runner that takes samples fairly. Pure Python.

Ways that are compared take turns, each round in another order, so that what the machine does
besides (other processes, clock rates, caches) falls on all of them alike.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Call = Callable[[], object]

MIN_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Timing:
    """One sample in milliseconds."""

    n: int
    mean_ms: float
    std_ms: float
    """Of the sample (n - 1); 0 for a single value."""
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to measure: a number of rounds, or a time."""

    seconds: float
    """Per way, warm-up not counted; at least MIN_ROUNDS rounds are run."""
    rounds: int | None = None
    """If given, exactly so many, whatever they take."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One way's sample, with and without warm-up."""

    first_call_ms: float
    """Without warm-up: with all that the way leaves for its first call, such as optimising."""
    warm: Timing
    with_first_call: Timing
    """The same sample and the first call in it: what a benchmark without warm-up would say."""


def summarise(seconds: Sequence[float]) -> Timing:
    """Mean, deviation and percentiles of durations in seconds.

    Raises:
        ValueError: there are none.
    """
    if not seconds:
        raise ValueError("no durations to summarise")
    values = sorted(1000 * each for each in seconds)
    mean = math.fsum(values) / len(values)
    squares = math.fsum((each - mean) ** 2 for each in values)
    return Timing(
        n=len(values),
        mean_ms=mean,
        std_ms=math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else 0.0,
        p50_ms=percentile(values, 50),
        p95_ms=percentile(values, 95),
        p99_ms=percentile(values, 99),
    )


def percentile(ascending: Sequence[float], percent: float) -> float:
    """Between the two nearest ranks in proportion, as NumPy's default does."""
    position = (len(ascending) - 1) * percent / 100
    below = math.floor(position)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (ascending[above] - ascending[below]) * (position - below)


def figure(value: float) -> str:
    """Three digits that count, never an exponent: 0.012, 1.23, 12.3, 1230."""
    if value == 0:
        return "0"
    for limit, digits in ((1, 3), (10, 2), (100, 1)):
        if value < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"


def interleave(
    calls: Mapping[str, Call],
    budget: Budget,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Measured]:
    """Time several ways in turns: first calls, one warm-up each, then rounds of rotated order.

    Args:
        calls: by the way's name; each call is complete when it returns.
        budget: how long.
        clock: in seconds.

    Returns:
        In the order of `calls`.
    """
    names = list(calls)
    first = {name: _timed(calls[name], clock) for name in names}
    for call in calls.values():
        call()
    samples: dict[str, list[float]] = {name: [] for name in names}
    ends = clock() + budget.seconds * len(names)
    done = 0
    while _goes_on(done, budget, is_time_left=clock() < ends):
        for name in _rotated(names, done):
            samples[name].append(_timed(calls[name], clock))
        done += 1
    return {
        name: Measured(
            first_call_ms=1000 * first[name],
            warm=summarise(samples[name]),
            with_first_call=summarise([first[name], *samples[name]]),
        )
        for name in names
    }


def _goes_on(done: int, budget: Budget, *, is_time_left: bool) -> bool:
    if budget.rounds is not None:
        return done < budget.rounds
    return done < MIN_ROUNDS or is_time_left


def _rotated(names: list[str], by: int) -> list[str]:
    start = by % len(names) if names else 0
    return names[start:] + names[:start]


def _timed(call: Call, clock: Callable[[], float]) -> float:
    begun = clock()
    call()
    return clock() - begun
