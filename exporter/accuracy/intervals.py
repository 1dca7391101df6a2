"""Confidence intervals of proportions, alone and paired on the same pictures. Pure.

Newcombe, "Interval estimation for the difference between independent proportions" and "Improved
confidence intervals for the difference between binomial proportions based on paired data",
Statistics in Medicine 17 (1998), 873-890 and 2635-2650. His method 10 is used for pairs: it has
sensible limits also for few pictures and for differences at 0, where McNemar's test only says
whether there is one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """From, to."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """How much better one is than the other on the same pictures."""

    n: int
    only_first: int
    """Right in the first, wrong in the second."""
    only_second: int
    difference: float
    """Accuracy of the first less that of the second."""
    interval: Interval


def wilson(hits: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a proportion of `n` >= 1."""
    z = _z(confidence)
    share = hits / n
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    whole = 1 + z * z / n
    # Rounding must not push 0 of n above 0, nor n of n below 1.
    low = 0.0 if hits == 0 else (centre - spread) / whole
    high = 1.0 if hits == n else (centre + spread) / whole
    return Interval(low, high)


def paired_difference(
    first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], confidence: float = CONFIDENCE
) -> PairedDifference:
    """Newcombe's method 10 for the difference of two accuracies on the same pictures.

    Args:
        first: [N] whether the first answered right, N >= 1.
        second: [N] the same of the second.
        confidence: of the interval, two-sided.
    """
    n = len(first)
    both = int((first & second).sum())
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    cells = both, only_first, only_second, n - both - only_first - only_second
    one, other = both + only_first, both + only_second
    difference = (one - other) / n
    one_interval, other_interval = wilson(one, n, confidence), wilson(other, n, confidence)
    below, above = one / n - one_interval.low, one_interval.high - one / n
    other_below, other_above = other / n - other_interval.low, other_interval.high - other / n
    phi = _phi(*cells)
    return PairedDifference(
        n=n,
        only_first=only_first,
        only_second=only_second,
        difference=difference,
        interval=Interval(
            difference - _joined(below, other_above, phi),
            difference + _joined(above, other_below, phi),
        ),
    )


def is_above_guessing(hits: int, n: int, class_count: int, significance: float = 0.05) -> bool:
    """Whether so many hits are unlikely for somebody who guesses among the classes.

    One-sided exact binomial test.
    """
    share = 1 / class_count
    if hits == 0 or class_count == 1:
        return hits > 0
    tail = 0.0
    for k in range(hits, n + 1):
        term = math.exp(
            math.lgamma(n + 1)
            - math.lgamma(k + 1)
            - math.lgamma(n - k + 1)
            + k * math.log(share)
            + (n - k) * math.log1p(-share)
        )
        tail += term
        if k > n * share and term < tail * 1e-12:
            break  # what follows is smaller still
    return tail <= significance


def _joined(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


def _phi(both: int, only_first: int, only_second: int, neither: int) -> float:
    """How much the two agree, corrected for continuity as method 10 does."""
    n = both + only_first + only_second + neither
    margins = (
        (both + only_first)
        * (only_second + neither)
        * (both + only_second)
        * (only_first + neither)
    )
    if margins == 0:
        return 0.0
    product = float(both * neither - only_first * only_second)
    if product > 0:
        product = max(0.0, product - n / 2)
    return product / math.sqrt(margins)


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
