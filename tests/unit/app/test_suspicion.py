"""Model servers that hang: who is suspected, who is tried again, and what says nothing."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress

import pytest

from app.errors import DeadlineExceededError, GatewayError
from app.model_server import pool as pool_module
from app.model_server import replica as replica_module
from app.model_server.replica import Standing
from protocol.client import Input
from protocol.models import ModelSpec
from tests.support.pool_bench import SLOW, UNKNOWN, A, B, Bench, until

pytestmark = pytest.mark.anyio


async def test_a_hung_server_is_suspected_and_then_refuses_at_once():
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    bench.servers["a"].error = bench.servers["a"].status_error = SLOW
    await bench.fail(3)
    await until(lambda: bench.standing("a") is Standing.SUSPECTED)
    assert bench.pool.usable == []
    assert "does not answer" in bench.pool.nobody().detail
    assert bench.observer.ejections == ["a:1"]
    await bench.pool.aclose()


async def test_a_server_that_hangs_before_anything_is_predicted_is_suspected_too(monkeypatch):
    """After a pause nothing is known for certain: requests wait for a status, and for nothing."""
    monkeypatch.setattr(replica_module, "_SILENT_SECONDS", 0.0)
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    bench.servers["a"].status_error = SLOW
    with pytest.raises(DeadlineExceededError):
        await bench.pool._replicas[A].statuses("m", timeout_seconds=2.0)
    await until(lambda: bench.standing("a") is Standing.SUSPECTED)
    assert bench.pool.usable == []
    await bench.pool.aclose()


async def test_a_suspect_that_talks_is_tried_now_and_then_and_a_prediction_clears_it(monkeypatch):
    monkeypatch.setattr(replica_module, "_SILENT_SECONDS", 0.0)
    monkeypatch.setattr(replica_module, "_TRIAL_SECONDS", 0.05)
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    bench.servers["a"].error = SLOW  # predictions hang, statuses do not
    await bench.fail(3)
    await until(lambda: bench.standing("a") is Standing.SUSPECTED)
    await until(lambda: bench.pool.usable != [])
    bench.servers["a"].gate = asyncio.Event()
    asked = len(bench.log)
    trial = asyncio.ensure_future(bench.fail())
    await until(lambda: len(bench.log) > asked)
    monkeypatch.setattr(replica_module, "_TRIAL_SECONDS", 3600.0)  # however slow this machine is
    assert bench.pool.usable == []
    bench.servers["a"].gate.set()
    await trial
    assert bench.pool.usable == []
    monkeypatch.setattr(replica_module, "_TRIAL_SECONDS", 0.05)
    await until(lambda: bench.pool.usable != [])
    bench.servers["a"].error = None
    await bench.ask()
    assert bench.standing("a") is Standing.IN_USE
    await bench.pool.aclose()


async def test_a_suspect_is_proved_without_any_traffic(monkeypatch):
    monkeypatch.setattr(pool_module, "_PROBE_INTERVAL_SECONDS", 0.01)
    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    suspect = bench.pool._replicas[A]
    bench.servers["a"].error = bench.servers["a"].status_error = SLOW

    async def prove(replica):
        assert replica is suspect
        pixels = Input("x", "uint8", (1,), [b"x"])
        with suppress(GatewayError):
            await replica.predict(ModelSpec("m"), pixels, outputs=(), timeout_seconds=5.0)

    bench.pool.prove = prove
    while bench.standing("a") is Standing.IN_USE:
        bench.servers["b"].last_call = 0
        await asyncio.gather(bench.ask(), bench.ask(), return_exceptions=True)
        await asyncio.sleep(0)
    bench.servers["a"].status_error = UNKNOWN
    await asyncio.sleep(0.05)
    assert bench.standing("a") is Standing.SUSPECTED  # it talks, and still predicts nothing
    bench.servers["a"].error = None
    await until(lambda: bench.standing("a") is Standing.IN_USE)
    await bench.pool.aclose()


@pytest.mark.parametrize(
    "arguments", [{"seconds": 0.5}, {"is_telling": False}], ids=["short", "for nobody"]
)
async def test_deadlines_that_say_nothing_are_not_held_against_an_address(arguments):
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    bench.servers["a"].error = bench.servers["a"].status_error = SLOW
    await bench.fail(6, **arguments)
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.standing("a") is Standing.IN_USE
    await bench.pool.aclose()


async def test_an_address_that_is_slow_but_talks_is_busy_and_stays():
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    bench.servers["a"].error = SLOW
    for _ in range(4):
        await bench.fail()
        for _ in range(5):
            await asyncio.sleep(0)
    assert bench.standing("a") is Standing.IN_USE
    await bench.pool.aclose()


async def test_an_answer_in_between_takes_the_missed_deadlines_back():
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    bench.servers["a"].status_error = SLOW
    for error in (SLOW, SLOW, None, SLOW, SLOW):
        bench.servers["a"].error = error
        with pytest.raises(DeadlineExceededError) if error else nullcontext():
            await bench.ask()
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.standing("a") is Standing.IN_USE
    await bench.pool.aclose()
