"""Who is let in: as many images as get through in time, shared fairly.

    head arrives ──verdict──► entered ──body complete──► in progress ──► answered, gone
                      │       (counted while fresh)           (counted)
                      └─ refused: before routing, for a few microseconds

All are counters in the event loop: no locks, nothing to wait for. A refused request costs a small
answer; a request without a bound would cost its body's memory and a place in the queue. The module
knows no HTTP.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from app.classify.concurrency import ConcurrencyLimit
from app.errors import RETRY_AFTER_SECONDS, OverloadedError

_FRESH_SECONDS: Final = 0.25
"""A body may take so long to arrive with its image's place kept free. Later ones find a place or
not: slow senders must not keep others out."""
_TURNS: Final = 3
"""Turns of the event loop that an image waits for, beside those within its work."""
_TURN_SECONDS: Final = 0.002
"""What an image costs the event loop at most; a loop that is later than its images explain is busy
with something else."""
_OVERCOMMITMENT: Final = 1.5
"""How far above the limit those may go who hold less than their share."""
_MAX_RETRY_AFTER_SECONDS: Final = 30
"""Whole seconds, so that there are few different refusals and each can be kept ready."""


class Admission:
    """Counts images in progress by client."""

    def __init__(
        self,
        limit: ConcurrencyLimit,
        *,
        max_images: int,
        clock: Callable[[], float],
        lag: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Create it.

        Args:
            limit: how many images get through in time.
            max_images: never more than that, whatever the limit and the shares.
            clock: monotonic seconds.
            lag: how late the event loop is, in seconds.
        """
        self._limit = limit
        self._max_images = max_images
        self._clock = clock
        self._lag = lag
        self._held: dict[str, int] = {}
        self._fresh: deque[tuple[float, Reservation]] = deque()
        self._promised: Counter[str] = Counter()
        self._promises = 0
        self._refusals: dict[int, OverloadedError] = {}
        """Verdicts by their whole seconds, made once: under overload there are thousands."""
        self.arriving = 0
        """Requests whose body is expected any moment."""
        self.images = 0
        """Images in progress: arrived and unanswered."""

    def verdict(self, client: str) -> OverloadedError | None:
        """Whether a request of the client would be let in now; None promises it a place.

        For the head of a request, in the event loop: the promise holds until the loop's next turn,
        when the request's task enters.
        """
        if self._is_refused(client):
            seconds = self._retry_after_seconds()
            if seconds not in self._refusals:
                self._refusals[seconds] = _overloaded(seconds)
            return self._refusals[seconds]
        if not self._promises:
            asyncio.get_running_loop().call_soon(self._forget_promises)
        self._promised[client] += 1
        self._promises += 1
        return None

    @contextmanager
    def enter(self, client: str) -> Iterator[Reservation]:
        """Let one request with one image in, for as long as the block runs.

        Raises:
            OverloadedError: enough is in progress.
        """
        if self._is_refused(client):
            raise _overloaded(self._retry_after_seconds())
        reservation = Reservation(self)
        self.arriving += 1
        self._fresh.append((self._clock() + _FRESH_SECONDS, reservation))
        self._held[client] = self._held.get(client, 0) + 1
        try:
            yield reservation
        finally:
            self._let_go(client, 1)
            reservation.leave()

    @contextmanager
    def widen(self, client: str, count: int) -> Iterator[int]:
        """Take up to so many further places for images of a request that is in progress.

        Yields:
            how many there were, 0 to `count`.
        """
        room = min(self._room(), self._limit.images // self._clients(client) - self._held[client])
        taken = max(0, min(count, room))
        self.images += taken
        self._held[client] += taken
        try:
            yield taken
        finally:
            self.images -= taken
            self._let_go(client, taken)

    def observe(self, *, total_seconds: float, worked_seconds: float) -> None:
        """One image was answered or given up: see `ConcurrencyLimit.observe`.

        What it waited because the event loop was busy with others than images does not count:
        fewer images would not help.
        """
        lag = max(0.0, self._lag() - self.images * _TURN_SECONDS)
        self._limit.observe(
            total_seconds=max(worked_seconds, total_seconds - _TURNS * lag),
            worked_seconds=worked_seconds,
            in_progress=self.images,
        )

    def check_late(self) -> None:
        """Used by reservations whose body came too late for the one that was kept.

        Raises:
            OverloadedError: others took it.
        """
        if self.images + self.arriving >= self._most_overcommitted():
            raise _overloaded(self._retry_after_seconds())

    def _is_refused(self, client: str) -> bool:
        if self._room() > 0:
            return False
        busy = self.images + self.arriving + self._promises
        share = max(1, self._limit.images // self._clients(client))
        holds = self._held.get(client, 0) + self._promised[client]
        return holds >= share or busy >= self._most_overcommitted()

    def _room(self) -> int:
        """Places left for anybody."""
        now = self._clock()
        while self._fresh and self._fresh[0][0] <= now:
            self._fresh.popleft()[1].stop_waiting()
        return self._limit.images - self.images - self.arriving - self._promises

    def _clients(self, client: str) -> int:
        """Clients that hold places, this one included."""
        return len(self._held) + (client not in self._held)

    def _most_overcommitted(self) -> int:
        return min(self._max_images, int(self._limit.images * _OVERCOMMITMENT) + 1)

    def _retry_after_seconds(self) -> int:
        """By then what is in progress will be done."""
        rate = self._limit.images_per_second
        wait = self.images / rate if rate else RETRY_AFTER_SECONDS
        return min(_MAX_RETRY_AFTER_SECONDS, math.ceil(wait))

    def _let_go(self, client: str, count: int) -> None:
        self._held[client] -= count
        if not self._held[client]:
            del self._held[client]

    def _forget_promises(self) -> None:
        self._promised.clear()
        self._promises = 0


def _overloaded(retry_after_seconds: int) -> OverloadedError:
    return OverloadedError(
        "too many images are in progress", retry_after_seconds=retry_after_seconds
    )


class Reservation:
    """One request's place: waiting for its body, then in progress."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._is_fresh = True
        self._is_in_progress = False

    def arrived(self) -> None:
        """The body is complete: the image is in progress from now on.

        Raises:
            OverloadedError: it took long to arrive, and there is no place left.
        """
        if not self._is_fresh:
            self._admission.check_late()
        self.stop_waiting()
        self._admission.images += 1
        self._is_in_progress = True

    def stop_waiting(self) -> None:
        """No place is kept free for it any longer."""
        if self._is_fresh:
            self._is_fresh = False
            self._admission.arriving -= 1

    def leave(self) -> None:
        """Give everything back."""
        self.stop_waiting()
        self._admission.images -= self._is_in_progress
