"""A client that goes ends the work on its answer, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from app.http.departure import ClientGoneError, Departure

pytestmark = pytest.mark.anyio


async def wait_for_ever(ends):
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        ends.append("ended")


async def work(departure, ends):
    with departure.ends_work():
        await wait_for_ever(ends)


async def test_work_ends_when_the_client_goes():
    departure, ends = Departure(), []
    task = asyncio.create_task(work(departure, ends))
    await asyncio.sleep(0)
    departure.happen()
    departure.happen()
    with pytest.raises(ClientGoneError):
        await task
    assert ends == ["ended"]
    assert not task.cancelled()
    assert task.cancelling() == 0


async def test_no_work_begins_for_a_client_that_has_gone():
    departure, ends = Departure(), []
    departure.happen()
    with pytest.raises(ClientGoneError):
        await work(departure, ends)
    assert ends == []


async def test_an_answer_that_was_ready_in_the_same_turn_is_nobodys():
    departure = Departure()
    ready = asyncio.get_running_loop().create_future()

    async def take():
        with departure.ends_work():
            await ready

    task = asyncio.create_task(take())
    await asyncio.sleep(0)
    ready.set_result(None)
    departure.happen()
    with pytest.raises(ClientGoneError):
        await task


async def test_what_comes_after_the_work_is_not_cancelled():
    departure = Departure()

    async def answer():
        with departure.ends_work():
            pass
        departure.happen()
        await asyncio.sleep(0)
        return "logged"

    assert await asyncio.create_task(answer()) == "logged"


async def test_the_servers_own_cancellation_stays_one():
    departure, ends = Departure(), []
    task = asyncio.create_task(work(departure, ends))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == ["ended"]


async def test_of_both_cancellations_the_servers_counts():
    departure, ends = Departure(), []
    task = asyncio.create_task(work(departure, ends))
    await asyncio.sleep(0)
    departure.happen()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == ["ended"]


async def test_a_deadline_around_the_work_still_passes():
    async def in_time():
        async with asyncio.timeout(0):
            await work(Departure(), [])

    with pytest.raises(TimeoutError):
        await in_time()
