"""How late the event loop is."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.classify.lag import LoopLag

pytestmark = pytest.mark.anyio


async def test_a_loop_that_was_held_up_is_late_and_then_less_so():
    lag = LoopLag()
    watch = asyncio.create_task(lag.watch())
    await asyncio.sleep(0.02)
    time.sleep(0.5)  # noqa: ASYNC251 - that is what holds it up
    await asyncio.sleep(0)
    while not lag.seconds:  # noqa: ASYNC110 - the tick is due
        await asyncio.sleep(0)
    late = lag.seconds
    assert late >= 0.4
    async with asyncio.timeout(60):
        while lag.seconds > late / 2:  # noqa: ASYNC110 - several ticks
            await asyncio.sleep(0.05)
    watch.cancel()
