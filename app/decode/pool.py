"""Decoding in worker processes: which file is next, with how much memory, and what comes of it.

    decode ─► small, in turns between clients ─► worker ─► row
                                                   │ its price does not fit now
              large, in turns between clients ◄────┘
                     └──────────────────────────► worker, with its memory granted before

`workforce` has the workers, `judge` ends what takes too long.

Everything happens in the event loop: no locks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.decode.bounds import Bounds
from app.decode.budget import MemoryBudget
from app.decode.endings import error_for, own_reason
from app.decode.job import Decoded, Job, Log, Observer, fail
from app.decode.judge import Judge
from app.decode.link import Link
from app.decode.nursery import Ending
from app.decode.reports import Price, Refusal, Reported, Result
from app.decode.waiting import Waiting
from app.decode.workforce import Member, Workforce
from app.errors import (
    GatewayError,
    ImageTooLargeError,
    InvalidImageError,
    OverloadedError,
)

_TICK_SECONDS: Final = 0.05
_ALLOWANCE_BYTES: Final = 16_000_000
"""Memory that every image has without asking, beside its file: enough for most."""
_ATTEMPTS: Final = 3
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
        self._cpu_limit_seconds = bounds.cpu_seconds
        self._clock = clock
        self._log = log
        self._observer = observer
        self.budget = MemoryBudget(limits.memory_bytes)
        self._waiting = Waiting(self.budget)
        self._workforce = Workforce(
            bounds,
            limits.workers,
            clock=clock,
            log=log,
            on_report=self._reported,
            on_end=self._ended,
            on_idle=self._dispatch,
        )
        self._judge = Judge(self._workforce, limit_seconds=bounds.cpu_seconds, clock=clock)
        self._ticker: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._moved_at = clock()
        self.average_seconds = 0.0

    @property
    def waiting(self) -> int:
        """Files that no worker has."""
        return self._waiting.count

    @property
    def running(self) -> int:
        """Files that a worker has."""
        return len(self._workforce.busy)

    @property
    def workers(self) -> int:
        """Worker processes."""
        return len(self._workforce.members)

    @property
    def pids(self) -> list[int]:
        """All processes: the zygote's, then the workers'."""
        return self._workforce.pids

    @property
    def stalled_seconds(self) -> float:
        """For how long no file has been done with although there are some; 0 without any."""
        return self._clock() - self._moved_at if self.waiting or self.running else 0.0

    def predicted_wait_seconds(self, client: str) -> float:
        """How long a further file of this client would wait for a worker."""
        return self._waiting.small.ahead_of(client) * self.average_seconds / self._limits.workers

    def start(self) -> None:
        """Start the zygote; workers follow when it is ready, which nobody needs to wait for."""
        self._workforce.start()

    def close(self) -> None:
        """Kill everything now. Whoever still waits is told."""
        self._is_closed = True
        if self._ticker is not None:
            self._ticker.cancel()
        running = [job for member in self._workforce.busy if (job := member.job) is not None]
        for job in (*self._waiting.take_all(), *running):
            fail(job, OverloadedError("the gateway is shutting down", refusal="shutdown"))
        self._workforce.close()

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
        self._waiting.small.append(client, job)
        self._dispatch()
        try:
            return await future
        except asyncio.CancelledError:  # any other end comes to who has left the queue
            self._waiting.forget(job)
            raise
        finally:
            job.data = b""  # nobody needs it but a worker that is reading it

    def _dispatch(self) -> None:
        while self._waiting.count and self._workforce.is_free:
            job = self._waiting.next(self._clock())
            if job is None:
                return
            self._run(self._workforce.idle.pop(), job)
        if self._waiting.count:
            self._tick_later()

    def _run(self, member: Member, job: Job) -> None:
        member.job, member.held_bytes = job, job.memory_bytes
        member.is_used_up = job.memory_bytes > _ALLOWANCE_BYTES + job.image_bytes
        member.started_at = self._clock()
        job.attempts += 1
        member.link.send_job(job.plan, job.data, job.memory_bytes)
        self._tick_later()

    def _reported(self, link: Link, reported: Reported | None) -> None:
        member = self._workforce.members.get(link.number)
        if member is None or (job := member.job) is None:
            return
        if reported is None:
            self._workforce.kill(member, "crash")
        elif isinstance(reported, Price):
            self._priced(member, job, reported.needed_bytes)
        else:
            self._done(member, job, reported)

    def _done(self, member: Member, job: Job, reported: Result | Refusal) -> None:
        now = self._moved_at = self._clock()
        seconds = now - member.started_at
        self._free(member)
        member.cpu_seconds_before = reported.cpu_seconds_ever
        if isinstance(reported, Result):
            seconds = min(reported.decoded.seconds, seconds)  # whatever the worker claims
            self.average_seconds += _SMOOTHING * (seconds - self.average_seconds)
            if not job.is_over:
                job.answer.set_result(reported.decoded)
        else:
            kind = ImageTooLargeError if reported.is_too_large else InvalidImageError
            error = kind(reported.detail)
            error.warnings = reported.warnings
            fail(job, error)
        self._dispatch()

    def _priced(self, member: Member, job: Job, price_bytes: int) -> None:
        """A worker has read the header: more memory is granted now, or later."""
        self._give_back(member)
        job.memory_bytes = min(price_bytes, self.budget.largest_bytes)
        if self._waiting.grow(job):
            member.held_bytes = job.memory_bytes
            member.is_used_up = True
            member.link.grant(job.memory_bytes)
            return
        member.link.withdraw()
        self._free(member)
        self._waiting.large.append(job.client, job)
        self._dispatch()

    def _tick_later(self) -> None:
        if self._ticker is None and not self._is_closed:
            self._ticker = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._ticker = None
        self._judge.review(are_others_waiting=bool(self._waiting.count))
        self._dispatch()
        if self._workforce.busy:
            self._tick_later()

    def _ended(self, member: Member, job: Job, ending: Ending | None) -> None:
        """A worker ended before its job: no fault of the image's if it ended by itself."""
        if ending is None or ending.exit_code >= 0:
            self._try_again(job)
        else:
            self._bury(member, job, ending)
        self._give_back(member)

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
        limit = self._cpu_limit_seconds
        fail(job, error_for(reason, is_slow=member.is_slow, cpu_seconds=limit))

    def _try_again(self, job: Job) -> None:
        """Once more, unless it has happened before."""
        if job.is_over:
            return
        if job.attempts >= _ATTEMPTS:
            fail(job, GatewayError("decode workers keep ending"))
        else:
            self._waiting.small.append(job.client, job)

    def _free(self, member: Member) -> None:
        """The worker's job is done."""
        self._give_back(member)
        self._workforce.release(member)

    def _give_back(self, member: Member) -> None:
        self.budget.give_back(member.held_bytes)
        member.held_bytes = 0
