"""Who has had enough: slow jobs make way, and some end before they are done.

A job that takes long is *slow*: another worker takes its place, so that bombs and large images do
not hold up the others. It is killed at the time limit, when nobody waits for it any more, or when
every place is taken by such jobs and others wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from app.decode.endings import SLOW_SECONDS, reason_to_end
from app.decode.workforce import Member, Workforce

_PRESSURE_FRACTION: Final = 0.2
"""Of the time limit: what is left of it while slow jobs hold every place and others wait."""


class Judge:
    """Decides about the busy members of a workforce, whenever it is asked to."""

    def __init__(
        self,
        workforce: Workforce,
        *,
        limit_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """Create it.

        Args:
            workforce: whose members are judged.
            limit_seconds: CPU that one image may use.
            clock: monotonic seconds.
        """
        self._workforce = workforce
        self._limit_seconds = limit_seconds
        self._clock = clock

    def review(self, *, are_others_waiting: bool) -> None:
        """Look at every job that is being worked on."""
        now = self._clock()
        for member in self._workforce.busy:
            if member.killed_because is None:
                self._review(member, now)
        if are_others_waiting:
            self._relieve()

    def _review(self, member: Member, now: float) -> None:
        used = self._workforce.cpu_seconds(member)
        reason = reason_to_end(member, used, now, limit_seconds=self._limit_seconds)
        if reason is not None:
            self._workforce.kill(member, reason)
        elif used > SLOW_SECONDS and not member.is_slow:
            self._workforce.make_way(member)

    def _relieve(self) -> None:
        """End the dearest job when such ones hold every place."""
        if not self._workforce.is_full:
            return
        dearest = max(self._workforce.busy, key=self._workforce.cpu_seconds)
        limit = _PRESSURE_FRACTION * self._limit_seconds
        if self._workforce.cpu_seconds(dearest) > limit and dearest.killed_because is None:
            self._workforce.kill(dearest, "pressure")
