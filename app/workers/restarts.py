"""When a worker that ended is started again: at once, later, or never."""

from __future__ import annotations

from collections import deque
from typing import Final

MOST_DEATHS: Final = 10
WINDOW_SECONDS: Final = 60.0
_SETTLED_SECONDS: Final = 10.0
"""A worker that lived so long did start; the next is started at once."""
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0


class Restarts:
    """Counts all workers' deaths: something that ends one of them ends the next."""

    def __init__(self) -> None:
        self._deaths: deque[float] = deque()
        self._pause_seconds = _FIRST_PAUSE_SECONDS

    def pause(self, now: float, lived_seconds: float) -> float | None:
        """A worker ended at `now`; returns the seconds to wait, or None: there were too many."""
        self._deaths.append(now)
        while self._deaths[0] <= now - WINDOW_SECONDS:
            self._deaths.popleft()
        if len(self._deaths) > MOST_DEATHS:
            return None
        if lived_seconds >= _SETTLED_SECONDS:
            self._pause_seconds = _FIRST_PAUSE_SECONDS
            return 0.0
        pause, self._pause_seconds = (
            self._pause_seconds,
            min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS),
        )
        return pause
