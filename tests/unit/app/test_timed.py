"""What admission is told of each image."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from app.classify.timed import Timed
from app.errors import DeadlineExceededError, InvalidImageError, OverloadedError

pytestmark = pytest.mark.anyio


async def told(result):
    """What the observer hears of an image that took 2 s and then ended like this."""
    now, heard = [10.0], []

    class Source:
        async def outcome(self, _):
            now[0] += 2.0
            if isinstance(result, BaseException):
                raise result
            return result

    def on_time(*, total_seconds, worked_seconds):
        heard.append((total_seconds, worked_seconds))

    timed = Timed(Source(), clock=lambda: now[0], on_time=on_time)
    try:
        assert await timed.outcome(None) is result
    except type(result):
        pass
    return heard


async def test_an_answer_took_so_long_and_was_worked_on_for_so_much_of_it():
    outcome = SimpleNamespace(decode_seconds=0.25, run_seconds=0.5)
    assert await told(outcome) == [(2.0, 0.75)]


@pytest.mark.parametrize("error", [DeadlineExceededError("late"), asyncio.CancelledError()])
async def test_what_was_given_up_was_not_worked_on(error):
    assert await told(error) == [(2.0, 0.0)]


async def test_a_predicted_wait_counts_as_waited():
    assert await told(OverloadedError("full", retry_after_seconds=7.0)) == [(9.0, 0.0)]


async def test_a_bad_image_says_nothing_about_the_queue():
    assert await told(InvalidImageError("no image")) == []
