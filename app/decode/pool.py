"""Worker processes that decode: who is next, with how much memory, and who has had enough.

    decode ─► small, in turns between clients ─► worker ─► row
                                                   │ its price does not fit now
              large, in turns between clients ◄────┘
                     └──────────────────────────► worker, with its memory granted before

A job that takes long is *slow*: another worker takes its place, so that bombs and large images do
not hold up the others, and its own goes on at low priority. It is killed at the time limit, when
nobody waits for it any more, or when every place is taken by such jobs and others wait.

Everything happens in the event loop: no locks.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.decode.bounds import Bounds
from app.decode.budget import MemoryBudget
from app.decode.endings import SLOW_SECONDS, error_for, own_reason, reason_to_end
from app.decode.frames import Report
from app.decode.job import Decoded, Job, Log, Member, Observer, fail
from app.decode.link import Link, Reported
from app.decode.nursery import Ending, Nursery
from app.decode.waiting import Waiting
from app.errors import (
    GatewayError,
    ImageTooLargeError,
    InvalidImageError,
    OverloadedError,
)

_TICK_SECONDS: Final = 0.05
_PRESSURE_FRACTION: Final = 0.2
"""Of the time limit: what is left of it while slow jobs hold every place and others wait."""
_ALLOWANCE_BYTES: Final = 16_000_000
"""Memory that every image has without asking, beside its file: enough for most."""
_ATTEMPTS: Final = 3
_RESPAWN_SECONDS: Final = 0.2
_SMOOTHING: Final = 0.05


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How much of everything."""

    workers: int
    """That decode at a time; as many again while some of them are slow."""
    memory_bytes: int
    """For all images together."""


class DecodePool:
    """Decodes files in processes of its own. `start` and all that follows need the event loop."""

    def __init__(
        self,
        limits: PoolLimits,
        bounds: Bounds,
        *,
        clock: Callable[[], float],
        log: Log,
        observer: Observer,
    ) -> None:
        self._limits = limits
        self._bounds = bounds
        self._clock = clock
        self._log = log
        self._observer = observer
        self._nursery = Nursery(bounds, self)
        self.budget = MemoryBudget(limits.memory_bytes)
        self._waiting = Waiting(self.budget)
        self._members: dict[int, Member] = {}
        self._idle: list[Member] = []
        self._numbers = itertools.count(1)
        self._ticker: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._moved_at = clock()
        self.average_seconds = 0.0

    # --- for callers ---------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Files that no worker has."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Files that a worker has."""
        return sum(member.job is not None for member in self._members.values())

    @property
    def workers(self) -> int:
        """Worker processes."""
        return len(self._members)

    @property
    def pids(self) -> list[int]:
        """All processes: the zygote's, then the workers'."""
        zygote = self._nursery.zygote_pid
        return ([] if zygote is None else [zygote]) + list(self._nursery.pids.values())

    @property
    def stalled_seconds(self) -> float:
        """For how long no file has been done with although there are some; 0 without any."""
        return self._clock() - self._moved_at if self.waiting or self.running else 0.0

    def predicted_wait_seconds(self, client: str) -> float:
        """How long a further file of this client would wait for a worker."""
        return self._waiting.ahead_of(client) * self.average_seconds / self._limits.workers

    def start(self) -> None:
        """Start the zygote; workers follow when it is ready, which nobody needs to wait for."""
        self._nursery.start()

    def close(self) -> None:
        """Kill everything now. Whoever still waits is told."""
        self._is_closed = True
        if self._ticker is not None:
            self._ticker.cancel()
        running = [member.job for member in self._members.values() if member.job is not None]
        for job in (*self._waiting.take_all(), *running):
            fail(job, OverloadedError("the gateway is shutting down", refusal="shutdown"))
        for member in self._members.values():
            member.link.close()
        self._members.clear()
        self._idle.clear()
        self._nursery.close()

    async def decode(self, data: bytes, plan: bytes, *, deadline: float, client: str) -> Decoded:
        """Decode a file by a plan (`Plan.to_bytes`).

        Raises:
            RequestError: not an image, damaged, too large, or too costly.
            OverloadedError: killed so that others could go on, or the pool was closed.
            DeadlineExceededError: its turn came too late.
        """
        future: asyncio.Future[Decoded] = asyncio.get_running_loop().create_future()
        allowance = _ALLOWANCE_BYTES + len(data)
        job = Job(data, plan, client, deadline, future, allowance, len(data))
        if not self.waiting and not self.running:
            self._moved_at = self._clock()
        self._waiting.add(job)
        self._dispatch()
        try:
            return await future
        finally:
            self._forget(job)

    # --- from the nursery ----------------------------------------------------------------------

    def zygote_ready(self) -> None:
        """See `Guardian`."""
        self._fill_places()

    def worker_ended(self, number: int, ending: Ending) -> None:
        """See `Guardian`."""
        member = self._members.pop(number, None)
        if member is None:  # it was let go
            return
        self._retire(member)
        if member.job is None:  # before it could do anything: perhaps the system is short of all
            asyncio.get_running_loop().call_later(_RESPAWN_SECONDS, self._fill_places)
            return
        if ending.exit_code >= 0:
            self._try_again(member.job)  # it ended by itself: no fault of the image's
        else:
            self._bury(member, member.job, ending)
        self._give_back(member)
        self._fill_places()

    def zygote_lost(self) -> None:
        """See `Guardian`."""
        members, self._members = list(self._members.values()), {}
        self._log("decode workers lost", workers=len(members))
        for member in members:
            self._retire(member)
            if member.job is not None:
                self._give_back(member)
                self._try_again(member.job)

    # --- who is next ---------------------------------------------------------------------------

    def _dispatch(self) -> None:
        while self._idle and self._quick() < self._limits.workers:
            job = self._waiting.next(self._clock())
            if job is None:
                return
            self._run(self._idle.pop(), job)
        if self.waiting:
            self._tick_later()

    def _quick(self) -> int:
        return sum(
            member.job is not None and not member.is_slow for member in self._members.values()
        )

    def _run(self, member: Member, job: Job) -> None:
        member.job, member.held_bytes = job, job.memory_bytes
        member.is_used_up = job.memory_bytes > _ALLOWANCE_BYTES + job.image_bytes
        member.started_at = self._clock()
        job.attempts += 1
        self.budget.take(job.memory_bytes)
        member.link.send_job(job.plan, job.data, job.memory_bytes)
        self._tick_later()

    def _reported(self, link: Link, reported: Reported) -> None:
        member = self._members.get(link.number)
        if member is None or (job := member.job) is None:
            return
        if reported.report == Report.PRICE:
            self._priced(member, job, reported.price_bytes)
            return
        self._moved_at = self._clock()
        self._free(member)
        facts = reported.facts
        member.cpu_seconds_before = facts.pop("cpu_seconds_ever")
        warnings = tuple(facts.pop("warnings", ()))
        if reported.report == Report.RESULT:
            decoded = Decoded(reported.row, **facts, warnings=warnings)
            self.average_seconds += _SMOOTHING * (decoded.seconds - self.average_seconds)
            if not job.is_over:
                job.answer.set_result(decoded)
        else:
            kind = ImageTooLargeError if facts["is_too_large"] else InvalidImageError
            error = kind(facts["detail"])
            error.warnings = warnings
            fail(job, error)
        self._fill_places()
        self._dispatch()

    def _priced(self, member: Member, job: Job, price_bytes: int) -> None:
        """A worker has read the header: more memory is granted now, or later."""
        self._give_back(member)
        job.memory_bytes = min(price_bytes, self.budget.largest_bytes)
        if self._waiting.may_grow(job):
            self.budget.take(job.memory_bytes)
            member.held_bytes = job.memory_bytes
            member.is_used_up = True
            member.link.grant()
            return
        member.link.withdraw()
        self._free(member)
        self._waiting.add_large(job)
        self._dispatch()

    def _forget(self, job: Job) -> None:
        """Nobody waits for it any more: let go of its bytes unless a worker is reading them."""
        self._waiting.forget(job)
        job.data = b""

    # --- who has had enough --------------------------------------------------------------------

    def _tick_later(self) -> None:
        if self._ticker is None and not self._is_closed:
            self._ticker = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._ticker = None
        now = self._clock()
        for member in list(self._members.values()):
            if member.job is not None and member.killed_because is None:
                self._judge(member, now)
        self._relieve()
        self._dispatch()
        if self.running:
            self._tick_later()

    def _judge(self, member: Member, now: float) -> None:
        used = self._cpu_seconds(member)
        reason = reason_to_end(member, used, now, limit_seconds=self._bounds.cpu_seconds)
        if reason is not None:
            self._kill(member, reason)
        elif used > SLOW_SECONDS and not member.is_slow:
            member.is_slow = True
            self._nursery.let_others_go_first(member.link.number)
            self._fill_places()

    def _relieve(self) -> None:
        """End the dearest job when such ones hold every place and others wait."""
        busy = [each for each in self._members.values() if each.job is not None]
        if not self.waiting or len(busy) < 2 * self._limits.workers:
            return
        dearest = max(busy, key=self._cpu_seconds)
        limit = _PRESSURE_FRACTION * self._bounds.cpu_seconds
        if self._cpu_seconds(dearest) > limit and dearest.killed_because is None:
            self._kill(dearest, "pressure")

    def _cpu_seconds(self, member: Member) -> float:
        """What its job has used: others may hold the processor up, and that is no fault of it."""
        ever = self._nursery.cpu_seconds(member.link.number)
        if ever is None:
            return self._clock() - member.started_at
        return ever - member.cpu_seconds_before

    def _kill(self, member: Member, reason: str) -> None:
        member.killed_because = reason
        self._nursery.kill(member.link.number)

    def _bury(self, member: Member, job: Job, ending: Ending) -> None:
        """Say why a worker ended before its job did, to its client and in the log."""
        self._moved_at = self._clock()
        reason = member.killed_because or own_reason(ending.exit_code)
        seconds = self._clock() - member.started_at
        self._observer.decode_killed(reason)
        self._log(
            "decode killed",
            reason=reason,
            seconds=round(seconds, 2),
            cpu_seconds=ending.cpu_seconds,
            peak_bytes=ending.peak_bytes,
            granted_bytes=member.held_bytes,
            image_bytes=job.image_bytes,
            exit_code=ending.exit_code,
            client=job.client,
        )
        timeout = self._bounds.cpu_seconds
        fail(job, error_for(reason, is_slow=member.is_slow, cpu_seconds=timeout))

    def _try_again(self, job: Job) -> None:
        """What the zygote took with it is no fault of the image's, unless it happens again."""
        if job.is_over:
            return
        if job.attempts >= _ATTEMPTS:
            fail(job, GatewayError("decode workers keep ending"))
        else:
            self._waiting.add(job)

    # --- places --------------------------------------------------------------------------------

    def _fill_places(self) -> None:
        """As many workers as may be quick at a time, and one for each that is slow, up to twice."""
        slow = sum(member.is_slow for member in self._members.values())
        wanted = self._limits.workers + min(slow, self._limits.workers)
        if not self._nursery.is_running:
            return
        while len(self._members) < wanted:
            link = Link(next(self._numbers), self._reported)
            member = self._members[link.number] = Member(link)
            self._idle.append(member)
            self._nursery.spawn(link.number, link.theirs)
        while len(self._members) > wanted and self._idle:
            self._let_go(self._idle[0])
        if self._idle and self.waiting:
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _free(self, member: Member) -> None:
        """The worker's job is done."""
        self._give_back(member)
        member.job = None
        if member.is_used_up or member.is_slow:
            self._let_go(member)
        else:
            self._idle.append(member)

    def _let_go(self, member: Member) -> None:
        self._retire(member)
        del self._members[member.link.number]

    def _retire(self, member: Member) -> None:
        member.link.close()
        with contextlib.suppress(ValueError):
            self._idle.remove(member)

    def _give_back(self, member: Member) -> None:
        self.budget.give_back(member.held_bytes)
        member.held_bytes = 0
