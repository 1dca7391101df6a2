"""The worker processes: as many as may be quick at a time, and another for each that is slow.

A slow one, whose job takes long, keeps its process and loses its place: it goes on at low priority
beside the one that is started for it, until there are twice as many as may be quick.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.decode.bounds import Bounds
from app.decode.job import Job, Log
from app.decode.link import Link
from app.decode.nursery import Ending, Nursery
from app.decode.reports import Reported

_RESPAWN_SECONDS: Final = 0.2


@dataclass(slots=True, eq=False)
class Member:
    """One worker process, and what it does now."""

    link: Link
    job: Job | None = None
    held_bytes: int = 0
    started_at: float = 0.0
    cpu_seconds_before: float = 0.0
    """What the process had used before this job."""
    is_slow: bool = False
    """Its job takes long: others run in its place, and before it."""
    killed_because: str | None = None
    is_used_up: bool = False
    """It may have kept memory: it ends with its job."""


class Workforce:
    """Hires and lets go; who gets which job is the pool's affair."""

    def __init__(
        self,
        bounds: Bounds,
        places: int,
        *,
        clock: Callable[[], float],
        log: Log,
        on_report: Callable[[Link, Reported | None], None],
        on_end: Callable[[Member, Job, Ending | None], None],
        on_idle: Callable[[], None],
    ) -> None:
        """Create it; nobody works until `start`.

        Args:
            bounds: workers hear them when they are born.
            places: for workers that are quick.
            clock: monotonic seconds.
            log: structured.
            on_report: told what a member's link says; None: nonsense.
            on_end: told that a process ended before its job; None: the zygote took it with it.
            on_idle: told, a moment later, that there is a new worker.
        """
        self._places = places
        self._clock = clock
        self._log = log
        self._on_report = on_report
        self._on_end = on_end
        self._on_idle = on_idle
        self._nursery = Nursery(bounds, self)
        self._numbers = itertools.count(1)
        self.members: dict[int, Member] = {}
        """By number."""
        self.idle: list[Member] = []
        """Those of them that have no job."""

    @property
    def pids(self) -> list[int]:
        """All processes: the zygote's, then the workers'."""
        zygote = self._nursery.zygote_pid
        return ([] if zygote is None else [zygote]) + list(self._nursery.pids.values())

    @property
    def busy(self) -> list[Member]:
        """Who has a job."""
        return [member for member in self.members.values() if member.job is not None]

    @property
    def is_free(self) -> bool:
        """Whether an idle one may take a job: no more are quick at a time than there are places."""
        if not self.idle:
            return False
        quick = sum(
            member.job is not None and not member.is_slow for member in self.members.values()
        )
        return quick < self._places

    @property
    def is_full(self) -> bool:
        """Whether everybody who could be is there, and has a job."""
        return len(self.busy) >= 2 * self._places

    def start(self) -> None:
        """Start the zygote; workers follow when it is ready."""
        self._nursery.start()

    def close(self) -> None:
        """Kill everything now."""
        for member in self.members.values():
            member.link.close()
        self.members.clear()
        self.idle.clear()
        self._nursery.close()

    def cpu_seconds(self, member: Member) -> float:
        """What its job has used: others may hold the processor up, and that is no fault of it."""
        ever = self._nursery.cpu_seconds(member.link.number)
        if ever is None:
            return self._clock() - member.started_at
        return ever - member.cpu_seconds_before

    def release(self, member: Member) -> None:
        """Its job is done: it waits for another, or ends and somebody new comes."""
        member.job = None
        if member.is_used_up or member.is_slow:
            del self.members[member.link.number]
            member.link.close()
            self._fill()
        else:
            self.idle.append(member)

    def make_way(self, member: Member) -> None:
        """Its job takes long: others run in its place, and before it."""
        member.is_slow = True
        self._nursery.let_others_go_first(member.link.number)
        self._fill()

    def kill(self, member: Member, reason: str) -> None:
        """End its process; `on_end` follows."""
        member.killed_because = reason
        self._nursery.kill(member.link.number)

    # --- from the nursery ----------------------------------------------------------------------

    def zygote_ready(self) -> None:
        """See `Guardian`."""
        self._fill()

    def worker_ended(self, number: int, ending: Ending) -> None:
        """See `Guardian`."""
        member = self.members.pop(number, None)
        if member is None:  # it was let go
            return
        self._part_with(member)
        if member.job is None:  # before it could do anything: perhaps the system is short of all
            asyncio.get_running_loop().call_later(_RESPAWN_SECONDS, self._fill)
            return
        self._on_end(member, member.job, ending)
        self._fill()

    def zygote_lost(self) -> None:
        """See `Guardian`."""
        members, self.members = list(self.members.values()), {}
        self._log("decode workers lost", workers=len(members))
        for member in members:
            self._part_with(member)
            if member.job is not None:
                self._on_end(member, member.job, None)

    def _part_with(self, member: Member) -> None:
        member.link.close()
        with contextlib.suppress(ValueError):
            self.idle.remove(member)

    def _fill(self) -> None:
        """Start who is missing. There are never too many: a slow one leaves with its own place."""
        if not self._nursery.is_running:
            return
        slow = sum(member.is_slow for member in self.members.values())
        while len(self.members) < self._places + min(slow, self._places):
            link = Link(next(self._numbers), self._on_report)
            member = self.members[link.number] = Member(link)
            self.idle.append(member)
            self._nursery.spawn(link.number, link.theirs)
        if self.idle:
            asyncio.get_running_loop().call_soon(self._on_idle)
