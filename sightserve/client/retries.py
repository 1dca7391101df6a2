"""When to ask again, and after which pause: a pure function of what is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sightserve.client.errors import SightserveError

DEFAULT_COUNT: Final = 4


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how fast.

    Asked again is what was refused with 429 or 503, and what got no answer at all. The server's
    Retry-After is waited for in full, and up to a quarter more, so that those who were refused
    together do not come back together.
    """

    count: int = DEFAULT_COUNT
    """After the first attempt."""
    first_pause_seconds: float = 0.1
    """Doubles with each attempt, where the server says nothing."""
    longest_pause_seconds: float = 5.0

    def pause(
        self, attempt: int, error: SightserveError, *, remaining_seconds: float, jitter: float
    ) -> float | None:
        """Seconds to wait before the next attempt; None: give up now.

        Args:
            attempt: how many have failed, from 1.
            error: of the last one.
            remaining_seconds: of the call's time. A pause beyond it would help nobody.
            jitter: random, 0 to 1.
        """
        if not error.is_retriable or attempt > self.count:
            return None
        if error.retry_after is not None:
            seconds = error.retry_after * (1 + jitter / 4)
        else:
            doubled = min(self.first_pause_seconds * 2 ** (attempt - 1), self.longest_pause_seconds)
            seconds = doubled * (1 + jitter) / 2
        return seconds if seconds < remaining_seconds else None


NEVER = Retries(count=0)
"""For probes: what is asked is whether it answers now."""
