"""Continuous micro-batching: whenever a slot is free, everything that waits goes out at once.

    submit ──► lane: queue ──slot free──► up to max_batch_size in one call ──► answers
                 │                                     │
                 └─ expired, cancelled: dropped        └─ done: the slot frees, next batch

There is no timer. Alone, an item leaves immediately; under load batches grow by themselves, for
more arrives while the slots are busy. Items are batched only with items of the same lane. The
module knows nothing of images or models.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from app.errors import DeadlineExceededError, OverloadedError

LaneT = TypeVar("LaneT", bound=Hashable)
ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")

_SMOOTHING: Final = 0.2
"""Weight of the newest batch in the moving average of batch times."""
_MAX_IDLE_LANES: Final = 64
"""Lanes outlive their traffic for their measured times; versions come and go, so not for ever."""


@dataclass(frozen=True, slots=True)
class Batched(Generic[AnswerT]):
    """One item's answer and how it got there."""

    answer: AnswerT
    batch_size: int
    queue_seconds: float
    run_seconds: float


@dataclass(slots=True, eq=False)
class _Pending(Generic[ItemT, AnswerT]):
    item: ItemT
    deadline: float
    enqueued_at: float
    future: asyncio.Future[Batched[AnswerT]]


@dataclass(slots=True, eq=False)
class _Lane(Generic[ItemT, AnswerT]):
    queue: deque[_Pending[ItemT, AnswerT]] = field(default_factory=deque)
    started_at: list[float] = field(default_factory=list)
    """Start times of the batches in flight, oldest first."""
    batch_seconds: float | None = None
    """Moving average of a batch's time; None before the first."""


class Batcher(Generic[LaneT, ItemT, AnswerT]):
    """Collects items into calls of `run`."""

    def __init__(
        self,
        run: Callable[[LaneT, Sequence[ItemT], float], Awaitable[Sequence[AnswerT]]],
        *,
        max_batch_size: int,
        slots: Callable[[], int],
        clock: Callable[[], float],
        on_batch: Callable[[int], object],
    ) -> None:
        """Create a batcher.

        Args:
            run: computes a batch of one lane within so many seconds, one answer per item.
            max_batch_size: items per call.
            slots: how many calls per lane may be in flight right now.
            clock: monotonic seconds; deadlines are measured on it.
            on_batch: told the size of each batch that leaves.
        """
        self._run = run
        self._max_batch_size = max_batch_size
        self._slots = slots
        self._clock = clock
        self._on_batch = on_batch
        self._lanes: dict[LaneT, _Lane[ItemT, AnswerT]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def submit(self, key: LaneT, item: ItemT, *, deadline: float) -> Batched[AnswerT]:
        """Queue one item and wait for its answer; the caller gives up at the deadline by itself.

        Raises:
            OverloadedError: the answer would predictably come after the deadline.
            DeadlineExceededError: it passed before the item's batch left.
            GatewayError: whatever `run` raised for the item's batch.
        """
        now = self._clock()
        if deadline <= now:
            raise _too_late()
        lane = self._lane(key)
        self._refuse_if_hopeless(lane, now, deadline)
        future: asyncio.Future[Batched[AnswerT]] = asyncio.get_running_loop().create_future()
        lane.queue.append(_Pending(item, deadline, now, future))
        self._dispatch(key, lane)
        return await future

    @property
    def queued(self) -> int:
        """Items that wait for a batch."""
        return sum(len(lane.queue) for lane in self._lanes.values())

    @property
    def in_flight(self) -> int:
        """Batches under way."""
        return sum(len(lane.started_at) for lane in self._lanes.values())

    async def aclose(self) -> None:
        """Cancel what is in flight; everybody who waits is cancelled with it."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self._lanes.values():
            for pending in lane.queue:
                pending.future.cancel()

    def _lane(self, key: LaneT) -> _Lane[ItemT, AnswerT]:
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= _MAX_IDLE_LANES:
                self._forget_idle_lanes()
            lane = self._lanes[key] = _Lane()
        return lane

    def _forget_idle_lanes(self) -> None:
        self._lanes = {
            key: lane for key, lane in self._lanes.items() if lane.queue or lane.started_at
        }

    def _refuse_if_hopeless(self, lane: _Lane[ItemT, AnswerT], now: float, deadline: float) -> None:
        if lane.batch_seconds is None or self._has_slot(lane):
            return  # a free slot is always used: that is also how a slow average recovers
        until_slot = max(0.0, lane.batch_seconds - (now - lane.started_at[0]))
        batches_ahead = len(lane.queue) // self._max_batch_size
        wait = until_slot + batches_ahead * lane.batch_seconds / self._slots()
        if now + wait + lane.batch_seconds > deadline:
            raise OverloadedError(
                "the queue is longer than the request's deadline", retry_after_seconds=wait
            )

    def _has_slot(self, lane: _Lane[ItemT, AnswerT]) -> bool:
        return not lane.started_at or len(lane.started_at) < self._slots()

    def _dispatch(self, key: LaneT, lane: _Lane[ItemT, AnswerT]) -> None:
        while lane.queue and self._has_slot(lane) and not self._is_closed:
            batch = self._take(lane)
            if batch:
                task = asyncio.create_task(self._run_batch(key, lane, batch))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _take(self, lane: _Lane[ItemT, AnswerT]) -> list[_Pending[ItemT, AnswerT]]:
        """The oldest live items, marked as in flight; dead ones are dropped on the way."""
        now = self._clock()
        batch: list[_Pending[ItemT, AnswerT]] = []
        while lane.queue and len(batch) < self._max_batch_size:
            pending = lane.queue.popleft()
            if pending.future.done():
                continue
            if pending.deadline <= now:
                pending.future.set_exception(_too_late())
                continue
            batch.append(pending)
        if batch:
            lane.started_at.append(now)
        return batch

    async def _run_batch(
        self, key: LaneT, lane: _Lane[ItemT, AnswerT], batch: list[_Pending[ItemT, AnswerT]]
    ) -> None:
        started_at = self._clock()
        self._on_batch(len(batch))
        timeout = max(pending.deadline for pending in batch) - started_at
        try:
            answers = await self._run(key, [pending.item for pending in batch], timeout)
            self._measure(lane, started_at)
            self._deliver(batch, answers, started_at)
        except DeadlineExceededError as error:
            self._measure(lane, started_at)
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            _fail(batch, error)
        finally:
            for pending in batch:
                pending.future.cancel()  # does nothing where an answer or an error was set
            lane.started_at.pop(0)
            self._dispatch(key, lane)

    def _measure(self, lane: _Lane[ItemT, AnswerT], started_at: float) -> None:
        seconds = self._clock() - started_at
        average = seconds if lane.batch_seconds is None else lane.batch_seconds
        lane.batch_seconds = average + _SMOOTHING * (seconds - average)

    def _deliver(
        self,
        batch: list[_Pending[ItemT, AnswerT]],
        answers: Sequence[AnswerT],
        started_at: float,
    ) -> None:
        run_seconds = self._clock() - started_at
        for pending, answer in zip(batch, answers, strict=True):
            if not pending.future.done():
                queue_seconds = started_at - pending.enqueued_at
                pending.future.set_result(Batched(answer, len(batch), queue_seconds, run_seconds))


def _fail(batch: list[_Pending[Any, Any]], error: Exception) -> None:
    for pending in batch:
        if not pending.future.done():
            pending.future.set_exception(error)


def _too_late() -> DeadlineExceededError:
    return DeadlineExceededError("the request's deadline passed")
