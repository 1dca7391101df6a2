"""All connections: how many there are, whose, and who has to go when there are too many.

At the limit the newcomer gets in and the longest waiting of those without a request goes, as in
nginx: sockets that somebody opens and leaves idle, or feeds a byte at a time, keep nobody out.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from app.errors import GatewayError, OverloadedError, TooManyConnectionsError
from app.http.connection.limits import Limits

_TICK_SECONDS: Final = 0.5
MAX_LINGERING: Final = 128
"""So many connections at most only wait for clients to read their refusal; they stand outside the
limit, on reserved files."""


class Member(Protocol):
    """A connection, as far as the census is concerned."""

    peer: str
    """Whose it is; "": many clients', who have no limit of one."""

    def check(self, now: float) -> None:
        """Do what is due at this time of the event loop."""
        ...

    def evict(self) -> None:
        """Close: another one needs the place more."""
        ...


class Census:
    """Counts connections and turns their clocks."""

    def __init__(self, limits: Limits, *, refused: Callable[[str, str], None]) -> None:
        """`refused(reason, peer)` is told of each connection that has no place, or lost it."""
        self._limits = limits
        self._refused = refused
        self._members: set[Member] = set()
        self._of_client: Counter[str] = Counter()
        # Dictionaries for their order: who waits longest comes first.
        self._waiting: dict[Member, None] = {}
        self._lingering: dict[Member, None] = {}
        self._ticker: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._members)

    def enter(self, member: Member) -> GatewayError | None:
        """A connection is open; returns why it must not be served, if it must not."""
        self._members.add(member)
        self._of_client[member.peer] += 1
        if self._ticker is None:
            self._tick()
        of_client = self._of_client[member.peer] if member.peer else 0
        if of_client > self._limits.max_connections_per_client:
            self._refused("client", member.peer)
            return OverloadedError("too many connections from this address")
        if self.connections - len(self._lingering) <= self._limits.max_connections:
            return None
        if self._waiting:
            longest = next(iter(self._waiting))
            self._refused("idle", longest.peer)
            self._give_up(longest)
            return None
        self._refused("total", member.peer)
        return TooManyConnectionsError("too many connections are open")

    def leave(self, member: Member) -> None:
        """The connection is closed."""
        self._members.discard(member)
        self._waiting.pop(member, None)
        self._lingering.pop(member, None)
        self._of_client[member.peer] -= 1
        if not self._of_client[member.peer]:
            del self._of_client[member.peer]
        if not self._members and self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    def waits(self, member: Member) -> None:
        """It has no request now; the longest waiting ones go first."""
        self._waiting[member] = None

    def works(self, member: Member) -> None:
        """It has one."""
        self._waiting.pop(member, None)

    def lingers(self, member: Member) -> None:
        """It has its answer and still sends; the longest lingering goes when there are many."""
        self._waiting.pop(member, None)
        self._lingering[member] = None
        if len(self._lingering) > MAX_LINGERING:
            self._give_up(next(iter(self._lingering)))

    def _give_up(self, member: Member) -> None:
        """Close it; it is out of the lists at once, while its socket takes a turn of the loop."""
        self._waiting.pop(member, None)
        self._lingering.pop(member, None)
        member.evict()

    def _tick(self) -> None:
        """One timer for all: each would cost every request more than all cost twice a second."""
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_later(_TICK_SECONDS, self._tick)
        now = loop.time()
        for member in list(self._members):
            member.check(now)
