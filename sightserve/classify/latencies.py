"""Quantiles of any number of times in little memory: a histogram whose buckets grow by 1 %."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

_LOG_GROWTH: Final = math.log(1.01)
_SMALLEST_SECONDS: Final = 1e-6


class Latencies:
    """Counts by bucket. A quantile is at most 1 % too high and never too low."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._max_seconds = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[math.ceil(math.log(max(seconds, _SMALLEST_SECONDS)) / _LOG_GROWTH)] += 1
        self._max_seconds = max(self._max_seconds, seconds)

    def quantile(self, fraction: float) -> float:
        """Seconds that so large a part did not exceed (nearest rank); 0 of nothing."""
        rank = math.ceil(fraction * self._counts.total())
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return min(math.exp(bucket * _LOG_GROWTH), self._max_seconds)
        return 0.0
