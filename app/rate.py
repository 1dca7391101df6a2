"""How many a second, over the last ten seconds; and how many since the start."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

_SECONDS: Final = 10


class Rate:
    """Counts events by whole seconds of the clock: what is kept does not grow with their number."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started_at = clock()
        self._counts: deque[list[int]] = deque(maxlen=_SECONDS + 1)
        """Pairs of a second and its count, the last ones that had any."""
        self.total = 0

    def add(self) -> None:
        """One happened now."""
        second = int(self._clock())
        if not self._counts or self._counts[-1][0] != second:
            self._counts.append([second, 0])
        self._counts[-1][1] += 1
        self.total += 1

    @property
    def uptime_seconds(self) -> float:
        """Since counting began."""
        return self._clock() - self._started_at

    @property
    def per_second(self) -> float:
        """The last ten whole seconds' mean; of what there is before ten are over."""
        now = int(self._clock())
        recent = sum(count for second, count in self._counts if now - _SECONDS <= second < now)
        begun = sum(count for second, count in self._counts if second == now)
        uptime = self.uptime_seconds
        if uptime < _SECONDS:
            return (recent + begun) / max(uptime, 1.0)
        return recent / _SECONDS
