"""A body on its way in: its framing, and whether it comes fast enough."""

from __future__ import annotations

from typing import Final

from app.errors import RequestTimeoutError
from app.http.connection.body import Body

_GRACE_SECONDS: Final = 5.0
_INTERVAL_SECONDS: Final = 1.0


class Inflow:
    """One body; times are the event loop's."""

    __slots__ = ("_began_at", "_body", "_paused_at", "bytes")

    def __init__(self, body: Body, now: float) -> None:
        self._body = body
        self._began_at = now
        self._paused_at: float | None = None
        self.bytes = 0
        """Arrived so far, framing included."""

    @property
    def is_complete(self) -> bool:
        """Whether all of it is here."""
        return self._body.is_complete

    @property
    def remaining(self) -> int | None:
        """As `Body.remaining`."""
        return self._body.remaining

    def feed(self, data: bytes | memoryview, into: list[bytes]) -> int:
        """As `Body.feed`."""
        taken = self._body.feed(data, into)
        self.bytes += taken
        return taken

    def pause(self, now: float) -> None:
        """We stop reading: the sender is not to blame for this time."""
        self._paused_at = now

    def resume(self, now: float) -> None:
        """We read again."""
        if self._paused_at is not None:
            self._began_at += now - self._paused_at
            self._paused_at = None

    def first_check(self) -> float:
        """When to look at the rate for the first time."""
        return self._began_at + _GRACE_SECONDS

    def next_check(self, now: float, bytes_per_second: int) -> float:
        """When to look at the rate again.

        Raises:
            RequestTimeoutError: on average it is below what is asked.
        """
        elapsed = (self._paused_at or now) - self._began_at
        if elapsed >= _GRACE_SECONDS and self.bytes < elapsed * bytes_per_second:
            raise RequestTimeoutError(
                f"the body came with less than {bytes_per_second:,} bytes per second"
            )
        return now + _INTERVAL_SECONDS
