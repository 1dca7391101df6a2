"""The loops of a load test, in virtual time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from sightserve.bench.latencies import percentile, summary_ms
from sightserve.bench.load import closed_loop, open_loop
from tests.support.processes import ROOT
from tests.support.virtual_time import run_in_virtual_time

ANSWER_SECONDS = 0.010
STALL = (5.0, 6.0)


def stalling() -> Callable[[int], Awaitable[str]]:
    """A service that answers after 10 ms, but nobody between the fifth and the sixth second."""

    async def ask(_: int) -> str:
        now = asyncio.get_running_loop().time()
        wait = STALL[1] - now if STALL[0] <= now < STALL[1] else 0.0
        await asyncio.sleep(wait + ANSWER_SECONDS)
        return ""

    return ask


def test_a_stall_is_in_an_open_loop_as_often_as_requests_were_due_in_it():
    sample = run_in_virtual_time(open_loop(stalling(), rate=50, seconds=10))
    late = [each for each in sample.latencies if each > 2 * ANSWER_SECONDS]
    assert len(sample.latencies) == 500
    assert len(late) == pytest.approx(50, abs=2)
    assert summary_ms(sample.latencies)["p99"] > 800
    assert summary_ms(sample.latencies)["p50"] == pytest.approx(10, abs=0.1)


def test_a_closed_loop_asks_a_stalled_service_less_and_hardly_sees_it():
    sample = run_in_virtual_time(closed_loop(stalling(), clients=1, seconds=10))
    late = [each for each in sample.latencies if each > 2 * ANSWER_SECONDS]
    assert len(late) == 1
    assert summary_ms(sample.latencies)["p99"] == pytest.approx(10, abs=0.1)


def test_what_waits_for_room_is_timed_from_when_it_was_due():
    async def slow(_: int) -> str:
        await asyncio.sleep(10)
        return ""

    sample = run_in_virtual_time(open_loop(slow, rate=100, seconds=10))
    # 512 at a time, ten seconds each; the last, due at 9.99 s, begins at 10 s or later.
    assert max(sample.latencies) == pytest.approx(20 - 5.12, abs=0.1)


def test_a_closed_loop_counts_neither_warming_up_nor_what_comes_too_late():
    async def ask(_: int) -> str:
        await asyncio.sleep(0.3)
        return ""

    sample = run_in_virtual_time(closed_loop(ask, clients=2, seconds=1, warm_seconds=0.5))
    # Each of the two is answered at 0.3, 0.6, 0.9, 1.2, 1.5 (which is too late) seconds.
    assert len(sample.latencies) == 2 * 3
    assert sample.requests == 2 * 5
    assert sample.requests_per_second == 6


def test_failures_are_counted_by_kind_and_are_no_throughput():
    async def ask(number: int) -> str:
        await asyncio.sleep(0.1)
        return "" if number % 2 else "HTTP 500"

    sample = run_in_virtual_time(open_loop(ask, rate=10, seconds=10))
    assert sample.failures == {"HTTP 500": 50}
    assert sample.requests_per_second == 5
    assert sample.to_json()["failures"] == {"HTTP 500": 50}


@pytest.mark.parametrize("count", [1, 2, 3, 10, 101])
@pytest.mark.parametrize("percent", [0, 50, 90, 99, 100])
def test_percentiles_are_numpys(count, percent):
    values = sorted(np.random.default_rng(count).random(count))
    assert percentile(values, percent) == pytest.approx(np.percentile(values, percent))


def test_nothing_timed_gives_no_figures():
    assert summary_ms([]) == {}


def test_the_generator_imports_nothing_heavy():
    code = "import sys, sightserve.bench.run; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "PIL", "httpx", "grpc", "pydantic", "tensorflow", "keras"}
    assert "sightserve.bench.load" in done.stdout.split()
    assert heavy & set(done.stdout.split()) == set()
