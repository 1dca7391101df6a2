"""How late the event loop is."""

from __future__ import annotations

import asyncio

import pytest

from app.classify.lag import LoopLag
from tests.support.virtual_time import run_in_virtual_time


def test_a_loop_that_was_held_up_is_late_and_then_less_so():
    async def scenario():
        lag = LoopLag()
        watch = asyncio.create_task(lag.watch())
        await asyncio.sleep(1)
        assert lag.seconds == pytest.approx(0)
        asyncio.get_running_loop().hold_up(0.5)
        await asyncio.sleep(0.01)
        assert 0.45 <= lag.seconds <= 0.5  # the tick was due within 0.05 s
        late = lag.seconds
        await asyncio.sleep(0.5)
        assert late / 2 < lag.seconds < late
        await asyncio.sleep(0.5)
        assert lag.seconds < late / 2
        watch.cancel()

    run_in_virtual_time(scenario())
