"""Quantiles over the last minutes, for /stats: one sketch per stage, version and minute.

DDSketch keeps every quantile within 1 % with about 2 kB per sketch (Masson et al., VLDB 2019), and
sketches add up, so five one-minute sketches merged are the last five minutes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from ddsketch import DDSketch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WINDOW_SECONDS: Final = 60.0
WINDOWS: Final = 5
_ACCURACY: Final = 0.01
_QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

Key = tuple[str, str, str]
"""Model name, version, stage."""


class Latencies:
    """Records stage times and answers their quantiles."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: deque[tuple[float, dict[Key, DDSketch]]] = deque(maxlen=WINDOWS)

    def record(self, model: str, version: str, seconds_by_stage: Mapping[str, float]) -> None:
        """Add one request's stages."""
        sketches = self._current()
        for stage, seconds in seconds_by_stage.items():
            key = (model, version, stage)
            sketch = sketches.get(key)
            if sketch is None:
                sketch = sketches[key] = DDSketch(_ACCURACY)
            sketch.add(seconds)

    def summary(self) -> dict[Key, dict[str, float]]:
        """Count and milliseconds at p50, p95, p99 by key, over the last windows."""
        oldest = self._clock() - WINDOWS * WINDOW_SECONDS
        merged: dict[Key, DDSketch] = {}
        for started_at, sketches in self._windows:
            if started_at <= oldest:
                continue
            for key, sketch in sketches.items():
                merged.setdefault(key, DDSketch(_ACCURACY)).merge(sketch)
        return {key: _quantiles(sketch) for key, sketch in sorted(merged.items())}

    def _current(self) -> dict[Key, DDSketch]:
        started_at = self._clock() // WINDOW_SECONDS * WINDOW_SECONDS
        if not self._windows or self._windows[-1][0] != started_at:
            self._windows.append((started_at, {}))
        return self._windows[-1][1]


def _quantiles(sketch: DDSketch) -> dict[str, float]:
    values = {
        name: round(1000 * sketch.get_quantile_value(quantile), 3)
        for name, quantile in _QUANTILES.items()
    }
    return {"count": int(sketch.count), **values}
