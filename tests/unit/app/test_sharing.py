"""Equal images in flight: who shares, who pays, and who must not suffer from whom."""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest

from app.classify.inference import Photo
from app.classify.sharing import Sharing
from app.errors import DeadlineExceededError, InvalidImageError
from protocol.models import ModelSpec

pytestmark = pytest.mark.anyio

SERVED = ModelSpec("m")


class Catalog:
    version = 1

    async def resolve(self, spec):
        return f"version {spec.version or self.version}"


class Bench:
    """A sharing source before one that finishes when the test says so."""

    def __init__(self):
        self.catalog = Catalog()
        self.asked = []
        self.futures = []
        self.shared = 0
        self.joined = asyncio.Event()
        self.stopped = asyncio.Event()
        self.stopped.set()
        self.cancelled = 0
        self.sharing = Sharing(self, self.catalog, on_shared=self._count)

    def _count(self):
        self.shared += 1
        self.joined.set()

    async def outcome(self, photo):
        self.asked.append(photo)
        future = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            self.cancelled += 1
            await self.stopped.wait()
            raise
        finally:
            del future  # or its exception would hold this frame, which holds it

    async def ask(self, data=b"photo", spec=SERVED, deadline=10.0):
        """A request under way."""
        photo = Photo(data, spec, deadline)
        task = asyncio.ensure_future(self.sharing.outcome(photo))
        await settle()
        return task


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def bench():
    return Bench()


async def test_equal_images_are_computed_once(bench):
    tasks = [await bench.ask() for _ in range(3)]
    bench.futures[0].set_result("outcome")
    assert await asyncio.gather(*tasks) == ["outcome"] * 3
    assert (len(bench.asked), bench.shared) == (1, 2)


@pytest.mark.parametrize(
    ("data", "spec"),
    [
        (b"other", SERVED),
        (b"longer photo", SERVED),
        (b"photo", ModelSpec("m", version=2)),
        (b"photo", ModelSpec("m", version_label="canary")),
        (b"photo", ModelSpec("n")),
    ],
)
async def test_what_differs_is_computed_by_itself(bench, data, spec):
    tasks = [await bench.ask(), await bench.ask(data, spec)]
    for number, future in enumerate(bench.futures):
        future.set_result(number)
    assert await asyncio.gather(*tasks) == [0, 1]
    assert bench.shared == 0


async def test_a_request_after_a_swap_does_not_get_the_answer_of_the_version_before(bench):
    before = await bench.ask()
    bench.catalog.version = 2
    after = await bench.ask()
    assert len(bench.asked) == 2
    for future in bench.futures:
        future.set_result(None)
    await asyncio.gather(before, after)


async def test_what_is_done_is_not_shared(bench):
    first = await bench.ask()
    bench.futures[0].set_result("first")
    await first
    second = await bench.ask()
    bench.futures[1].set_result("second")
    assert await second == "second"
    assert bench.shared == 0


async def test_the_first_one_may_leave_and_the_others_are_answered(bench):
    first, second = await bench.ask(), await bench.ask()
    first.cancel()
    await settle()
    bench.futures[0].set_result("outcome")
    assert await second == "outcome"
    assert (len(bench.asked), bench.cancelled) == (1, 0)


async def test_the_last_one_to_leave_ends_the_work_and_nobody_joins_it(bench):
    first, second = await bench.ask(), await bench.ask()
    first.cancel()
    second.cancel()
    await asyncio.sleep(0)
    third = await bench.ask()
    assert (len(bench.asked), bench.cancelled) == (2, 1)
    bench.futures[1].set_result("third")
    assert await third == "third"


async def test_nobody_joins_what_is_being_stopped(bench):
    bench.stopped.clear()  # as a call takes a moment to be cancelled
    first = await bench.ask()
    first.cancel()
    await settle()
    second = await bench.ask()
    bench.stopped.set()
    await settle()
    bench.futures[1].set_result("second")
    assert await second == "second"


async def test_the_first_ones_deadline_is_not_the_others(bench):
    first, second, third = [await bench.ask(deadline=10.0 + n) for n in range(3)]
    bench.futures[0].set_exception(DeadlineExceededError("too late"))
    await settle()
    with pytest.raises(DeadlineExceededError):
        await first
    assert [photo.deadline for photo in bench.asked] == [10.0, 11.0, 12.0]  # and each alone
    for future in bench.futures[1:]:
        future.set_result("outcome")
    assert await asyncio.gather(second, third) == ["outcome"] * 2


async def test_a_damaged_image_is_damaged_for_everybody(bench):
    tasks = [await bench.ask() for _ in range(2)]
    bench.futures[0].set_exception(InvalidImageError("damaged"))
    for task in tasks:
        with pytest.raises(InvalidImageError):
            await task
    assert len(bench.asked) == 1


async def test_large_images_are_compared_too(bench):
    tasks = [await bench.ask(bytes(300_000)), await bench.ask(bytes(300_000))]
    await asyncio.wait_for(bench.joined.wait(), 10)
    bench.futures[0].set_result("outcome")
    assert await asyncio.gather(*tasks) == ["outcome"] * 2


@pytest.mark.parametrize("error", [None, InvalidImageError, DeadlineExceededError])
async def test_the_image_is_freed_with_its_answer_whatever_that_was(bench, error):
    data = bytes(1000)
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(data)
        tasks = [await bench.ask(data), await bench.ask(bytes(bytearray(data)))]
        assert sys.getrefcount(data) > before
        if error is not None:
            bench.futures[0].set_exception(error("no"))
            await settle()
        bench.futures[-1].done() or bench.futures[-1].set_result("outcome")
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in (tasks, bench.asked, bench.futures):
            each.clear()
        await settle()
        assert sys.getrefcount(data) == before
    finally:
        gc.enable()
    assert not bench.sharing._flights
