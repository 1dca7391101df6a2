"""The pool and its addresses: who is picked, who is gone and comes back, whose name moves."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import ModelServerUnavailableError
from app.model_server import pool as pool_module
from app.model_server.addresses import Address
from app.model_server.replica import Standing
from tests.support.pool_bench import GONE, UNKNOWN, A, B, Bench, C, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def resolver(monkeypatch):
    """What names resolve to right now; None: they do not."""
    answer = {"addresses": [A], "times": 0}

    async def resolve(_):
        answer["times"] += 1
        return answer["addresses"]

    monkeypatch.setattr(pool_module, "resolve", resolve)
    return answer


async def resolved_again(resolver):
    """What the first of two further answers says is in force when the second is asked for."""
    seen = resolver["times"]
    await until(lambda: resolver["times"] >= seen + 2)


async def test_idle_addresses_take_turns():
    bench = Bench(fixed=(A, B, C))
    await bench.pool.start()
    for _ in range(6):
        await bench.ask()
    assert sorted(bench.log) == ["a", "a", "b", "b", "c", "c"]
    assert bench.log[:3] == bench.log[3:]


async def test_the_least_loaded_address_is_picked():
    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    bench.servers["a"].gate = asyncio.Event()
    stuck = asyncio.ensure_future(bench.ask())
    await until(lambda: bench.log == ["a"])
    for _ in range(3):
        await bench.ask()
    assert bench.log == ["a", "b", "b", "b"]
    bench.servers["a"].gate.set()
    await stuck


async def test_an_address_that_is_gone_is_out_of_use_while_others_are_not():
    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    bench.servers["a"].error = bench.servers["a"].status_error = GONE
    await bench.fail()
    assert bench.observer.ejections == ["a:1"]
    assert bench.pool.slots() == 2
    for _ in range(3):
        await bench.ask()
    assert bench.log == ["a", "b", "b", "b"]
    await bench.pool.aclose()


async def test_if_all_are_gone_they_are_tried_all_the_same():
    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    for server in bench.servers.values():
        server.error = server.status_error = GONE
    await bench.fail(4)
    assert sorted(bench.log) == ["a", "a", "b", "b"]
    assert bench.pool.slots() == 2  # never zero: batches still need a slot
    bench.servers["a"].error = bench.servers["b"].error = None
    await bench.ask()  # and who answers is in use, before any probe
    assert Standing.IN_USE in {bench.standing("a"), bench.standing("b")}
    await bench.pool.aclose()


async def test_a_probe_brings_an_address_back(monkeypatch):
    monkeypatch.setattr(pool_module, "_PROBE_INTERVAL_SECONDS", 0.01)
    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    bench.servers["a"].error = bench.servers["a"].status_error = GONE
    await bench.fail()
    bench.servers["a"].status_error = UNKNOWN  # it talks
    await until(lambda: bench.pool.slots() == 4)
    await bench.pool.aclose()


async def test_an_address_that_nobody_reaches_is_ejected_whoever_asked():
    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    bench.servers["a"].error = GONE
    await bench.fail(is_telling=False)
    assert bench.observer.ejections == ["a:1"]
    await bench.pool.aclose()


async def test_retries_have_a_budget_that_calls_fill_again():
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    assert sum(bench.pool.may_retry() for _ in range(1000)) == bench.observer.retries == 128
    for _ in range(11):
        await bench.ask()
    assert [bench.pool.may_retry() for _ in range(3)] == [True, True, False]


async def test_a_names_new_addresses_are_used_and_old_ones_closed_after_their_last_call(resolver):
    bench = Bench(names=(Address("svc", 1),))
    gone = []
    bench.pool.when_gone(lambda replica: gone.append(str(replica)))
    await bench.pool.start()
    bench.servers["a"].gate = asyncio.Event()
    last_call = asyncio.ensure_future(bench.ask())
    await until(lambda: bench.log == ["a"])
    resolver["addresses"] = [B]
    await until(lambda: "b" in bench.servers and bench.pool.slots() == 2)
    await resolved_again(resolver)
    await bench.ask()
    assert bench.log == ["a", "b"]
    assert gone == ["a:1"]
    assert not bench.servers["a"].is_closed
    bench.servers["a"].gate.set()
    await last_call
    await until(lambda: bench.servers["a"].is_closed)
    await bench.pool.aclose()
    assert bench.servers["b"].is_closed


async def test_an_address_that_refuses_makes_its_name_be_resolved_at_once(resolver):
    bench = Bench(names=(Address("svc", 1),), interval=3600.0)
    await bench.pool.start()
    bench.servers["a"].error = GONE
    resolver["addresses"] = [B]
    await bench.fail()
    assert await bench.pool.another(60.0)  # far sooner than the next hour
    await bench.ask()
    assert bench.log == ["a", "b"]
    await bench.pool.aclose()


async def test_an_address_on_its_way_back_is_waited_for(monkeypatch):
    monkeypatch.setattr(pool_module, "_PROBE_INTERVAL_SECONDS", 0.01)
    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    for server in bench.servers.values():
        server.error = server.status_error = GONE
    await bench.fail(2)
    waiting = asyncio.ensure_future(bench.pool.another(60.0))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    bench.servers["a"].status_error = UNKNOWN
    assert await waiting
    await bench.pool.aclose()


async def test_nobody_is_waited_for_where_there_is_one_address_or_the_outage_is_old(
    resolver, monkeypatch
):
    fixed, named = Bench(fixed=(A,)), Bench(names=(Address("svc", 1),))
    for bench in (fixed, named):
        await bench.pool.start()
        bench.servers["a"].error = bench.servers["a"].status_error = GONE
        await bench.fail()
    assert not await fixed.pool.another(60.0)
    monkeypatch.setattr(pool_module, "_FRESH_ADDRESS_SECONDS", 0.0)
    assert not await named.pool.another(60.0)
    assert resolver["times"]
    for bench in (fixed, named):
        await bench.pool.aclose()


async def test_a_name_that_stops_resolving_keeps_its_addresses(resolver):
    bench = Bench(names=(Address("svc", 1),))
    await bench.pool.start()
    resolver["addresses"] = None
    await resolved_again(resolver)
    await bench.ask()
    assert bench.log == ["a"]
    await bench.pool.aclose()


async def test_a_name_that_never_resolved_is_unavailable(resolver):
    resolver["addresses"] = None
    bench = Bench(names=(Address("svc", 1),))
    await bench.pool.start()
    assert bench.pool.usable == []
    assert isinstance(bench.pool.nobody(), ModelServerUnavailableError)
    assert "does not resolve" in bench.pool.nobody().detail
    assert bench.pool.row_encoding == "content"  # workers may be encoding meanwhile
    resolver["addresses"] = [C]
    await until(lambda: "c" in bench.servers)
    await bench.ask()
    await bench.pool.aclose()
