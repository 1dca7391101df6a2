"""Many times in a few figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

PERCENTILES: Final = (50, 90, 99)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Between the two nearest ranks, as NumPy's default.

    Args:
        ordered: ascending, not empty.
        percent: 0 to 100.
    """
    position = (len(ordered) - 1) * percent / 100
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def summary_ms(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p90, p99 and max in milliseconds; empty if there was nothing to time."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    figures = {f"p{each}": percentile(ordered, each) for each in PERCENTILES}
    return {
        name: round(1000 * value, 3) for name, value in (*figures.items(), ("max", ordered[-1]))
    }
