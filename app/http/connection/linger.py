"""The last seconds of a connection whose answer came before its body (RFC 9112, 9.6).

Closing with unread bytes resets the connection, and the reset would destroy an answer that the
client has not read. So our half is closed, and what still comes is read and dropped, for a while.
"""

from __future__ import annotations

from typing import Final

_SECONDS: Final = 30.0
_IDLE_SECONDS: Final = 5.0
_BYTES: Final = 128_000_000


class Linger:
    """How long one connection may go on; times are the event loop's."""

    __slots__ = ("_bytes", "_until", "deadline")

    def __init__(self, now: float) -> None:
        self._until = now + _SECONDS
        self._bytes = 0
        self.deadline = now + _IDLE_SECONDS
        """When to close unless something comes before."""

    def received(self, count: int, now: float) -> float:
        """So many bytes came and were dropped; returns the new deadline."""
        self._bytes += count
        self.deadline = min(now + _IDLE_SECONDS, self._until)
        return self.deadline

    @property
    def is_over(self) -> bool:
        """Whether more was sent than anybody has to read."""
        return self._bytes > _BYTES
