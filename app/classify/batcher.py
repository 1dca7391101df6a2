"""Continuous micro-batching: whenever a slot is free, everything that waits goes out at once.

    submit ──► lane: queue ──slot free──► as many as max_batch_seconds allow ──► answers
                 │                                     │
                 └─ expired, cancelled: dropped        └─ done: the slot frees, next batch

There is no timer. Alone, an item leaves immediately; under load batches grow by themselves, for
more arrives while the slots are busy: up to max_batch_size, up to what larger ones save, and up to
what is computed within max_batch_seconds, so that nobody waits long for a slot, the probe of
readiness neither. Items are batched only with items of the same lane. The module knows nothing of
images or models.

A queue stands when its oldest item has waited too long for a while (CoDel's test). Serving it in
order would then give everybody an answer that comes too late: the newest go first, and what has
waited beyond hope is refused. A short burst is no such queue and is served in order.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar

from app.classify.batch_times import BatchTimes
from app.errors import DeadlineExceededError, OverloadedError

LaneT = TypeVar("LaneT", bound=Hashable)
ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")

_STANDING_SECONDS: Final = 0.1
"""A queue that was too long for this long stands: CoDel's interval."""
_LONG_WAITS: Final = 2.0
"""A wait is long from twice what is aimed at, which admission keeps to when it can."""
_HOPELESS_WAITS: Final = 2.0
"""What waited twice as long as that is refused when the queue stands."""
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
    item: ItemT | None
    """None once its caller gave up."""
    deadline: float
    enqueued_at: float
    future: asyncio.Future[Batched[AnswerT]]
    is_queued: bool = True


@dataclass(slots=True, eq=False)
class _Lane(Generic[ItemT, AnswerT]):
    slots: Callable[[], int]
    """How many of its calls may be in flight."""
    queue: deque[_Pending[ItemT, AnswerT]] = field(default_factory=deque)
    due_at: list[float] = field(default_factory=list)
    """When the batches in flight are expected to be done, oldest first."""
    times: BatchTimes = field(default_factory=BatchTimes)
    """Of calls, from their start to their end: the wait for each other included."""
    costs: BatchTimes = field(default_factory=BatchTimes)
    """Of calls, from the end of the one before: what the model server works on each."""
    ended_at: float = -math.inf
    """When the last one ended."""
    is_long_since: float | None = None
    """Since when the oldest item has always waited long."""
    given_up: int = 0
    """Items whose callers gave up while they were queued, since the queue was last rid of them."""
    has_lost_oldest: bool = False
    """Whether the oldest item was among those."""

    def give_up(self, pending: _Pending[ItemT, AnswerT]) -> None:
        """Let go of an item that nobody waits for; the queue gets rid of half of itself at once."""
        if not pending.is_queued:
            return
        pending.item = None
        self.given_up += 1
        if 2 * self.given_up > len(self.queue):
            self.has_lost_oldest |= bool(self.queue) and self.queue[0].future.done()
            self.queue = deque(each for each in self.queue if not each.future.done())
            self.given_up = 0


class Batcher(Generic[LaneT, ItemT, AnswerT]):
    """Collects items into calls of `run`."""

    def __init__(
        self,
        run: Callable[[LaneT, Sequence[ItemT], float], Awaitable[Sequence[AnswerT]]],
        *,
        max_batch_size: int,
        max_batch_seconds: float,
        queue_seconds: float,
        slots: Callable[[LaneT | None], int],
        clock: Callable[[], float],
        on_batch: Callable[[int], object],
    ) -> None:
        """Create a batcher.

        Args:
            run: computes a batch of one lane within so many seconds, one answer per item.
            max_batch_size: items per call.
            max_batch_seconds: what a call should take at most, where it has several items.
            queue_seconds: the wait for a slot that is aimed at; a queue stands well above it.
            slots: how many calls of that lane may be in flight right now; None: of one that every
                address serves.
            clock: monotonic seconds; deadlines are measured on it.
            on_batch: told the size of each batch that leaves.
        """
        self._run = run
        self._max_batch_size = max_batch_size
        self._max_batch_seconds = max_batch_seconds
        self._long_seconds = _LONG_WAITS * queue_seconds
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
        pending = _Pending(item, deadline, now, future)
        del item  # or the error of a caller who gives up would hold it, through this frame
        lane.queue.append(pending)
        self._dispatch(key, lane)
        try:
            return await future
        except asyncio.CancelledError:
            lane.give_up(pending)
            raise

    @property
    def queued(self) -> int:
        """Items that wait for a batch."""
        return sum(len(lane.queue) for lane in self._lanes.values())

    @property
    def in_flight(self) -> int:
        """Batches under way."""
        return sum(len(lane.due_at) for lane in self._lanes.values())

    @property
    def items_to_stay_busy(self) -> int:
        """Items that keep every slot at work.

        One is computed and one is ready to follow; where batches pay, as many as fill them.
        """
        sizes = [
            min(self._max_batch_size, lane.costs.paying_size)
            for lane in self._lanes.values()
            if lane.due_at
        ]
        return self._slots(None) * max(2, sum(sizes))

    def items_within(self, seconds: float) -> int | None:
        """Items that get through in so long, by the times of the fastest lane; None: not known."""
        rates = [
            size / lane.times.predict(size)
            for lane in self._lanes.values()
            if lane.times.is_learned and (size := self._batch_size(lane))
        ]
        return (
            int(seconds * self._slots(None) * max(rates)) + self.items_to_stay_busy
            if rates
            else None
        )

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
            lane = self._lanes[key] = _Lane(partial(self._slots, key))
        return lane

    def _forget_idle_lanes(self) -> None:
        self._lanes = {key: lane for key, lane in self._lanes.items() if lane.queue or lane.due_at}

    def _refuse_if_hopeless(self, lane: _Lane[ItemT, AnswerT], now: float, deadline: float) -> None:
        if not lane.times.is_known or self._has_slot(lane):
            return  # a free slot is always used: that is also how a slow estimate recovers
        size = self._batch_size(lane)
        seconds = lane.times.predict(min(size, len(lane.queue) + 1))
        until_slot = max(0.0, lane.due_at[0] - now)
        wait = until_slot + len(lane.queue) // size * seconds / lane.slots()
        if now + wait + seconds > deadline:
            raise OverloadedError(
                "the queue is longer than the request's deadline", retry_after_seconds=wait
            )

    def _batch_size(self, lane: _Lane[ItemT, AnswerT]) -> int:
        worthwhile = lane.costs.worthwhile_size(self._max_batch_size)
        return lane.times.size_within(self._max_batch_seconds, most=worthwhile)

    def _next_size(self, lane: _Lane[ItemT, AnswerT]) -> int:
        size = self._batch_size(lane)
        return min(self._max_batch_size, 2 * size) if lane.times.is_due_a_try else size

    def _has_slot(self, lane: _Lane[ItemT, AnswerT]) -> bool:
        return not lane.due_at or len(lane.due_at) < lane.slots()

    def _dispatch(self, key: LaneT, lane: _Lane[ItemT, AnswerT]) -> None:
        while lane.queue and self._has_slot(lane) and not self._is_closed:
            batch = self._take(lane)
            if batch:
                task = asyncio.create_task(self._run_batch(key, lane, batch))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _take(self, lane: _Lane[ItemT, AnswerT]) -> list[_Pending[ItemT, AnswerT]]:
        """The next live items, marked as in flight; dead ones are dropped on the way.

        They are the oldest, unless the queue stands. None has less time left than the batch takes,
        as far as that depends on the batch's size.
        """
        now = self._clock()
        is_standing = self._is_standing(lane, now)
        if is_standing:
            self._drop_hopeless(lane, now)
        most = self._next_size(lane)
        batch: list[_Pending[ItemT, AnswerT]] = []
        while lane.queue and len(batch) < most:
            pending = lane.queue.pop() if is_standing else lane.queue.popleft()
            pending.is_queued = False
            if pending.future.done():
                continue
            if pending.deadline <= now:
                pending.future.set_exception(_too_late())
                continue
            batch.append(pending)
            most = lane.times.size_within(pending.deadline - now, most=most)
        if batch:
            lane.due_at.append(now + lane.times.predict(len(batch)))
        return batch

    def _is_standing(self, lane: _Lane[ItemT, AnswerT], now: float) -> bool:
        """Whether the oldest have waited long for a while, or gave up."""
        waiting = len(lane.queue)
        while lane.queue and lane.queue[0].future.done():
            lane.queue.popleft()
        has_lost_some = lane.has_lost_oldest or len(lane.queue) < waiting
        lane.has_lost_oldest = False
        if not lane.queue or now - lane.queue[0].enqueued_at < self._long_wait(lane):
            lane.is_long_since = None
            return has_lost_some
        if lane.is_long_since is None:
            lane.is_long_since = now
        return now - lane.is_long_since >= _STANDING_SECONDS

    def _drop_hopeless(self, lane: _Lane[ItemT, AnswerT], now: float) -> None:
        hopeless = _HOPELESS_WAITS * self._long_wait(lane)
        while lane.queue and now - lane.queue[0].enqueued_at > hopeless:
            pending = lane.queue.popleft()
            if not pending.future.done():
                pending.future.set_exception(
                    OverloadedError("the queue stands: newer requests go first")
                )

    def _long_wait(self, lane: _Lane[ItemT, AnswerT]) -> float:
        """From when on a wait for a slot is long, in seconds: one batch more than is aimed at."""
        return self._long_seconds + lane.times.predict(self._batch_size(lane))

    async def _run_batch(
        self, key: LaneT, lane: _Lane[ItemT, AnswerT], batch: list[_Pending[ItemT, AnswerT]]
    ) -> None:
        started_at = self._clock()
        self._on_batch(len(batch))
        timeout = max(pending.deadline for pending in batch) - started_at
        try:
            items = [each.item for each in batch if each.item is not None]  # in flight all have one
            answers = await self._run(key, items, timeout)
            self._learn(lane, len(batch), started_at)
            self._deliver(batch, answers, started_at)
        except DeadlineExceededError as error:
            self._learn(lane, len(batch), started_at)
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            _fail(batch, error)
        finally:
            for pending in batch:
                pending.future.cancel()  # does nothing where an answer or an error was set
            lane.due_at.pop(0)
            self._dispatch(key, lane)

    def _learn(self, lane: _Lane[ItemT, AnswerT], size: int, started_at: float) -> None:
        now = self._clock()
        lane.times.observe(size, now - started_at)
        lane.costs.observe(size, now - max(started_at, lane.ended_at))
        lane.ended_at = now

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
