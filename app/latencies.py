"""Quantiles over the last minutes, for /stats: one histogram per stage, version and minute.

Buckets grow by 2 %, and a quantile is the upper end of the bucket that holds its rank, but never
more than the maximum: so it is never understated and at most 2 % too high. Histograms add up, so
five one-minute ones merged are the last five minutes.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final

WINDOW_SECONDS: Final = 60.0
WINDOWS: Final = 5
_LOG_GROWTH: Final = math.log(1.02)
_SMALLEST_SECONDS: Final = 1e-6
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

Key = tuple[str, int, str]
"""Model name, version, stage."""


class Histogram:
    """Counts by bucket, the sum and the maximum."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.sum_seconds = 0.0
        self.max_seconds = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        bucket = math.ceil(math.log(max(seconds, _SMALLEST_SECONDS)) / _LOG_GROWTH)
        self.counts[bucket] += 1
        self.sum_seconds += seconds
        self.max_seconds = max(self.max_seconds, seconds)

    def merge(self, other: Histogram) -> None:
        """All of another's."""
        self.counts.update(other.counts)
        self.sum_seconds += other.sum_seconds
        self.max_seconds = max(self.max_seconds, other.max_seconds)

    def quantile(self, fraction: float) -> float:
        """The smallest value that is not below so large a part of all (nearest rank)."""
        rank = math.ceil(fraction * self.counts.total())
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                return min(math.exp(bucket * _LOG_GROWTH), self.max_seconds)
        return self.max_seconds


class Latencies:
    """Records stage times and answers their quantiles."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: deque[tuple[float, dict[Key, Histogram]]] = deque(maxlen=WINDOWS)

    def record(self, model: str, version: int, seconds_by_stage: Mapping[str, float]) -> None:
        """Add one request's stages."""
        started_at = self._clock() // WINDOW_SECONDS * WINDOW_SECONDS
        if not self._windows or self._windows[-1][0] != started_at:
            self._windows.append((started_at, {}))
        histograms = self._windows[-1][1]
        for stage, seconds in seconds_by_stage.items():
            histograms.setdefault((model, version, stage), Histogram()).add(seconds)

    def recent(self) -> dict[Key, Histogram]:
        """The last windows merged, by key."""
        oldest = self._clock() - WINDOWS * WINDOW_SECONDS
        merged: dict[Key, Histogram] = {}
        for started_at, histograms in self._windows:
            if started_at > oldest:
                for key, histogram in histograms.items():
                    merged.setdefault(key, Histogram()).merge(histogram)
        return merged

    def summary(self) -> dict[Key, dict[str, float]]:
        """Count and milliseconds (mean, quantiles, maximum) by key, over the last windows."""
        return summary(self.recent())


def summary(histograms: Mapping[Key, Histogram]) -> dict[Key, dict[str, float]]:
    """Count and milliseconds (mean, quantiles, maximum) by key."""
    return {key: _summary(histogram) for key, histogram in sorted(histograms.items())}


def _summary(histogram: Histogram) -> dict[str, float]:
    count = histogram.counts.total()
    quantiles = {name: histogram.quantile(fraction) for name, fraction in _QUANTILES.items()}
    # Rounded up, or a quantile would be understated after all.
    milliseconds = {
        name: math.ceil(1e6 * seconds) / 1000
        for name, seconds in (quantiles | {"max": histogram.max_seconds}).items()
    }
    mean = round(1000 * histogram.sum_seconds / count, 3)
    return {"count": count, "mean": mean, **milliseconds}
