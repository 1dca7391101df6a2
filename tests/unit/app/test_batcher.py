"""The batcher: what goes out when, who is refused, who is dropped."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from typing import Any

import pytest

from app.classify.batcher import Batched, Batcher
from app.errors import (
    DeadlineExceededError,
    ModelServerUnavailableError,
    OverloadedError,
)

pytestmark = pytest.mark.anyio


QUEUE_SECONDS = 0.25


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A batcher whose calls finish when the test says so."""

    def __init__(
        self,
        *,
        slots: int = 1,
        lane_slots: dict[str | None, int] | None = None,
        max_batch_size: int = 4,
        max_batch_seconds: float = 60.0,
    ) -> None:
        self.clock = Clock()
        self.sizes: list[int] = []
        self.calls: list[tuple[str, list[int], float]] = []
        self.results: list[asyncio.Future[Any]] = []
        self.batcher: Batcher[str, int, int] = Batcher(
            self._run,
            max_batch_size=max_batch_size,
            max_batch_seconds=max_batch_seconds,
            queue_seconds=QUEUE_SECONDS,
            slots=lambda lane: (lane_slots or {}).get(lane, slots),
            clock=self.clock,
            on_batch=self.sizes.append,
        )

    async def _run(self, lane: str, items: Sequence[int], timeout_seconds: float) -> list[int]:
        self.calls.append((lane, list(items), timeout_seconds))
        result = asyncio.get_running_loop().create_future()
        self.results.append(result)
        await result
        return [10 * item for item in items]

    def submit(
        self, item: int, *, lane: str = "a", deadline: float = 100.0
    ) -> asyncio.Task[Batched[int]]:
        return asyncio.ensure_future(self.batcher.submit(lane, item, deadline=deadline))

    async def finish(self, call: int = -1, error: Exception | None = None) -> None:
        if error is None:
            self.results[call].set_result(None)
        else:
            self.results[call].set_exception(error)
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_item_alone_leaves_at_once():
    bench = Bench()
    task = bench.submit(1)
    await settle()
    assert bench.calls == [("a", [1], 100.0)]
    await bench.finish()
    answered = await task
    assert (answered.answer, answered.batch_size) == (10, 1)


async def test_everything_that_waits_goes_out_together_when_a_slot_frees():
    bench = Bench(max_batch_size=4)
    tasks = [bench.submit(item) for item in range(6)]
    await settle()
    assert [items for _, items, _ in bench.calls] == [[0]]
    assert (bench.batcher.queued, bench.batcher.in_flight) == (5, 1)
    await bench.finish()
    assert [items for _, items, _ in bench.calls] == [[0], [1, 2, 3, 4]]
    await bench.finish()
    await bench.finish()
    assert [(await task).answer for task in tasks] == [0, 10, 20, 30, 40, 50]
    assert bench.sizes == [1, 4, 1]
    assert (bench.batcher.queued, bench.batcher.in_flight) == (0, 0)


async def test_a_lane_that_fewer_addresses_serve_has_fewer_slots():
    bench = Bench(slots=2, lane_slots={"canary": 1}, max_batch_size=1)
    for lane in ("stable", "canary"):
        for item in range(3):
            bench.submit(item, lane=lane)
    await settle()
    assert [lane for lane, *_ in bench.calls] == ["stable", "stable", "canary"]


async def test_no_more_calls_than_slots_are_in_flight():
    bench = Bench(slots=2, max_batch_size=1)
    tasks = [bench.submit(item) for item in range(3)]
    await settle()
    assert len(bench.calls) == 2
    await bench.finish(0)
    assert len(bench.calls) == 3
    await bench.finish(1)
    await bench.finish(2)
    await asyncio.gather(*tasks)


async def test_lanes_are_never_mixed_and_do_not_wait_for_each_other():
    bench = Bench()
    tasks = [bench.submit(1, lane="a"), bench.submit(2, lane="b")]
    await settle()
    assert [(lane, items) for lane, items, _ in bench.calls] == [("a", [1]), ("b", [2])]
    await bench.finish(0)
    await bench.finish(1)
    await asyncio.gather(*tasks)


async def test_the_call_gets_the_time_of_its_most_patient_item():
    bench = Bench()
    tasks = [bench.submit(0), bench.submit(1, deadline=50.0), bench.submit(2, deadline=90.0)]
    await settle()
    bench.clock.now = 2.0
    await bench.finish()
    assert bench.calls[1] == ("a", [1, 2], 88.0)
    await bench.finish()
    await asyncio.gather(*tasks)


async def test_expired_items_are_dropped_before_sending():
    bench = Bench()
    first, late, good = bench.submit(0), bench.submit(1, deadline=5.0), bench.submit(2)
    await settle()
    bench.clock.now = 6.0
    await bench.finish()
    assert bench.calls[1][1] == [2]
    with pytest.raises(DeadlineExceededError):
        await late
    await bench.finish()
    await asyncio.gather(first, good)


async def test_cancelled_items_are_dropped_before_sending():
    bench = Bench()
    first, gone, good = bench.submit(0), bench.submit(1), bench.submit(2)
    await settle()
    gone.cancel()
    await settle()
    await bench.finish()
    assert bench.calls[1][1] == [2]
    await bench.finish()
    await asyncio.gather(first, good)


async def test_a_deadline_in_the_past_is_refused_without_a_call():
    bench = Bench()
    bench.clock.now = 10.0
    with pytest.raises(DeadlineExceededError):
        await bench.submit(1, deadline=10.0)
    assert bench.calls == []


async def test_an_item_that_gives_up_while_its_batch_runs_harms_nobody():
    bench = Bench()
    impatient = bench.submit(1)
    await settle()
    impatient.cancel()
    await bench.finish()
    task = bench.submit(2)
    await settle()
    await bench.finish()
    assert (await task).answer == 20


async def test_a_wait_longer_than_the_deadline_is_refused_at_once():
    bench = Bench(max_batch_size=1)
    first = bench.submit(0)
    await settle()
    bench.clock.now = 4.0
    await bench.finish()  # a batch takes 4 s
    await first
    running = bench.submit(1)
    await settle()
    with pytest.raises(OverloadedError) as refused:
        await bench.submit(2, deadline=4.0 + 7.0)  # 4 s until the slot, 4 s of its own
    assert refused.value.retry_after_seconds == pytest.approx(4.0)
    waiting = bench.submit(3, deadline=4.0 + 8.5)
    await settle()
    assert not waiting.done()
    await bench.finish()
    await bench.finish()
    await asyncio.gather(running, waiting)


async def test_a_batch_that_ran_out_of_time_counts_for_the_next_prediction():
    bench = Bench(max_batch_size=1)
    first = bench.submit(0)
    await settle()
    bench.clock.now = 30.0
    await bench.finish(error=DeadlineExceededError("slow"))
    with pytest.raises(DeadlineExceededError):
        await first
    running = bench.submit(1)
    await settle()
    with pytest.raises(OverloadedError) as refused:
        await bench.submit(2, deadline=bench.clock.now + 40.0)
    assert refused.value.retry_after_seconds == pytest.approx(30.0)
    await bench.finish()
    await running


async def test_a_free_slot_is_used_however_slow_the_last_batch_was():
    bench = Bench()
    first = bench.submit(0)
    await settle()
    bench.clock.now = 50.0
    await bench.finish()
    await first
    second = bench.submit(1, deadline=51.0)
    await settle()
    await bench.finish()
    assert (await second).answer == 10


async def test_a_failed_call_fails_its_batch_and_frees_the_slot():
    bench = Bench()
    first, second = bench.submit(0), bench.submit(1)
    await settle()
    await bench.finish(error=ModelServerUnavailableError("gone"))
    with pytest.raises(ModelServerUnavailableError):
        await first
    await bench.finish()
    assert (await second).answer == 10


async def test_closing_cancels_those_who_wait():
    bench = Bench()
    tasks = [bench.submit(0), bench.submit(1)]
    await settle()
    await bench.batcher.aclose()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2


async def test_idle_lanes_are_forgotten():
    bench = Bench()
    for number in range(200):
        task = bench.submit(1, lane=f"version {number}")
        await settle()
        await bench.finish()
        await task
    assert len(bench.batcher._lanes) <= 65


async def learned(bench: Bench, seconds: float) -> None:
    """A batch of one took so long."""
    task = bench.submit(-1)
    await settle()
    bench.clock.now += seconds
    await bench.finish()
    await task


async def test_a_batch_takes_no_longer_than_it_may():
    bench = Bench(max_batch_size=32, max_batch_seconds=2.0)
    await learned(bench, 0.5)
    tasks = [bench.submit(item) for item in range(9)]
    await settle()
    bench.clock.now += 0.5
    await bench.finish()
    assert [items for _, items, _ in bench.calls][2] == [1, 2, 3, 4, 5, 6, 7, 8]  # a try: twice 4
    await bench.finish()
    await asyncio.gather(*tasks)


async def test_a_batch_is_small_enough_for_its_most_urgent_item():
    bench = Bench(max_batch_size=32)
    await learned(bench, 1.0)
    tasks = [bench.submit(0), bench.submit(1, deadline=4.5), bench.submit(2), bench.submit(3)]
    await settle()
    bench.clock.now += 1.0
    await bench.finish()
    assert bench.calls[-1][1] == [1, 2]  # 2.5 s are left, and each item takes one
    await bench.finish()
    await bench.finish()
    await asyncio.gather(*tasks)


async def test_a_queue_that_stands_is_served_newest_first_and_what_waited_too_long_refused():
    bench = Bench(max_batch_size=1)
    for _ in range(20):
        await learned(bench, 0.1)
    running, first, second = (bench.submit(item) for item in range(3))
    await settle()
    bench.clock.now += 1.5
    await bench.finish()  # both have waited long, but since just now: still in order
    assert bench.calls[-1][1] == [1]
    bench.clock.now += 1.5
    third, fourth = bench.submit(3), bench.submit(4)
    await settle()
    await bench.finish()
    assert bench.calls[-1][1] == [4]
    with pytest.raises(OverloadedError, match="stands"):
        await second
    await bench.finish()
    await bench.finish()
    assert [(await task).answer for task in (running, first, third, fourth)] == [0, 10, 30, 40]


async def test_a_queue_that_clients_leave_is_served_newest_first():
    bench = Bench(max_batch_size=1)
    tasks = [bench.submit(item) for item in range(4)]
    await settle()
    tasks[1].cancel()
    await settle()
    await bench.finish()
    assert bench.calls[-1][1] == [3]
    await bench.finish()
    await bench.finish()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_items_whose_callers_gave_up_leave_the_queue_of_a_hung_server():
    bench = Bench(slots=1)
    in_flight = bench.submit(0)
    await settle()
    living = [bench.submit(1000 + item) for item in range(10)]
    for item in range(1, 1001):
        impatient = bench.submit(item)
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        assert bench.batcher.queued <= 2 * len(living) + 1
    await bench.finish()
    assert (await in_flight).answer == 0
    while not all(task.done() for task in living):
        await bench.finish()
    assert [task.result().answer for task in living] == [10 * (1000 + n) for n in range(10)]
    assert bench.batcher.queued == 0


async def test_the_item_of_a_caller_who_gave_up_is_let_go_at_once():
    class Row:
        """Something that can be referred to weakly."""

    bench = Bench(slots=1)
    in_flight = bench.submit(0)
    await settle()
    waiting = [bench.submit(item) for item in (1, 2, 3)]
    row = Row()
    impatient = asyncio.ensure_future(bench.batcher.submit("a", row, deadline=100.0))
    await settle()
    seen = weakref.ref(row)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    del row, impatient
    assert bench.batcher.queued == 4  # its place is kept until there are more like it
    assert seen() is None
    for task in (in_flight, *waiting):
        task.cancel()


async def test_an_item_whose_caller_gives_up_in_flight_is_still_computed():
    bench = Bench(slots=1)
    first, second = bench.submit(1), bench.submit(2)
    await asyncio.sleep(0)
    first.cancel()
    await settle()
    assert bench.calls[0][1] == [1]
    await bench.finish()
    await bench.finish()
    assert (await second).answer == 20
