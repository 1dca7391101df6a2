"""The pool and its replicas: who is picked, who is out of use, whose name moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext, suppress

import pytest

from app.errors import DeadlineExceededError, GatewayError, ModelServerUnavailableError
from app.model_server import pool as pool_module
from app.model_server import replica as replica_module
from app.model_server.addresses import Address, Targets
from app.model_server.pool import ModelServerPool
from app.model_server.replica import Standing
from protocol.client import CallError, Client, Input
from protocol.codes import Code
from protocol.models import ModelSpec

pytestmark = pytest.mark.anyio

A, B, C = (Address(name, 1) for name in "abc")
GONE = CallError(Code.UNAVAILABLE, "gone")
SLOW = CallError(Code.DEADLINE_EXCEEDED, "slow")
UNKNOWN = CallError(Code.NOT_FOUND, "no such model")


class Server:
    """A client of a model server that answers as it is told."""

    connections = 1

    def __init__(self, host: str, log: list[str]) -> None:
        self.host, self.log = host, log
        self.error: Exception | None = None
        self.status_error: Exception | None = UNKNOWN
        self.is_closed = False
        self.gate: asyncio.Event | None = None

    async def statuses(self, _: str, *, timeout_seconds: float) -> list[object]:
        assert timeout_seconds > 0
        if self.status_error is not None:
            raise self.status_error
        return []

    async def predict(self, *_: object, timeout_seconds: float, **__: object) -> str:
        assert timeout_seconds > 0
        self.log.append(self.host)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return "prediction"

    async def aclose(self) -> None:
        self.is_closed = True


class Observer:
    def __init__(self) -> None:
        self.retries, self.ejections = 0, []

    def retried(self) -> None:
        self.retries += 1

    def ejected(self, address: str) -> None:
        self.ejections.append(address)


class Bench:
    def __init__(self, *, fixed=(), names=(), interval=0.01) -> None:
        self.log: list[str] = []
        self.servers: dict[str, Server] = {}
        self.observer = Observer()
        self.pool = ModelServerPool(
            Targets("grpc", fixed, names),
            self._client(),
            calls_per_address=2,
            observer=self.observer,
            resolve_interval_seconds=interval,
        )

    def _client(self) -> type[Client]:
        """What the pool calls with an address to get a client for it."""

        class Connecting:
            reports_version, prefers_strings = True, False
            row_encoding = "content"

            def __new__(cls, address: str) -> Server:
                host = address.partition(":")[0]
                return self.servers.setdefault(host, Server(host, self.log))

        return Connecting

    async def ask(self, seconds: float = 5.0, *, is_telling: bool = True) -> None:
        pixels = Input("x", "uint8", (1,), [b"x"])
        await self.pool.pick(self.pool.usable, images=1).predict(
            ModelSpec("m"), pixels, outputs=("y",), timeout_seconds=seconds, is_telling=is_telling
        )

    async def fail(self, times: int = 1, **arguments) -> None:
        for _ in range(times):
            with pytest.raises(GatewayError):
                await self.ask(**arguments)

    def standing(self, host: str) -> Standing:
        return self.pool._replicas[Address(host, 1)].standing


async def until(claim: Callable[[], bool]) -> None:
    while not claim():  # noqa: ASYNC110 - the claims are about several objects
        await asyncio.sleep(0.005)


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
    await bench.fail()
    assert bench.pool.usable == []  # that was the trial
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


async def test_an_address_that_nobody_reaches_is_ejected_whoever_asked():
    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    bench.servers["a"].error = GONE
    await bench.fail(is_telling=False)
    assert bench.observer.ejections == ["a:1"]
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
