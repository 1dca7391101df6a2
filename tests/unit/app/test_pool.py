"""The pool: picking, retrying, and following a name whose addresses change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from app.errors import DeadlineExceededError, ModelServerUnavailableError
from app.model_server import pool as pool_module
from app.model_server.addresses import Address, Targets
from app.model_server.pool import ModelServerPool
from protocol.client import CallError, Client, Input
from protocol.codes import Code
from protocol.models import ModelSpec

pytestmark = pytest.mark.anyio

A, B, C = (Address(name, 1) for name in "abc")
GONE = CallError(Code.UNAVAILABLE, "gone")
SLOW = CallError(Code.DEADLINE_EXCEEDED, "slow")


class Server:
    """A client of a model server that answers `statuses` as it is told."""

    def __init__(self, host: str, log: list[str]) -> None:
        self.host, self.log = host, log
        self.error: Exception | None = None
        self.is_closed = False
        self.gate: asyncio.Event | None = None

    async def statuses(self, _: str, *, timeout_seconds: float) -> list[object]:
        assert timeout_seconds > 0
        self.log.append(self.host)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return []

    async def predict(self, spec: ModelSpec, *_: object, timeout_seconds: float, **__: object):
        return await self.statuses(spec.name, timeout_seconds=timeout_seconds)

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

    async def ask(self, seconds: float = 5.0) -> None:
        await self.pool.statuses("m", timeout_seconds=seconds)

    async def predict(self, *, is_telling: bool) -> None:
        pixels = Input("x", "uint8", (1,), [b"x"])
        await self.pool.predict(
            ModelSpec("m"), pixels, outputs=("y",), timeout_seconds=5.0, is_telling=is_telling
        )


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
    stuck = [asyncio.ensure_future(bench.ask()) for _ in range(1)]
    await until(lambda: bench.log == ["a"])
    for _ in range(3):
        await bench.ask()
    assert bench.log == ["a", "b", "b", "b"]
    bench.servers["a"].gate.set()
    await asyncio.gather(*stuck)


async def test_a_failure_is_retried_once_elsewhere_and_the_address_ejected():
    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    bench.servers["a"].error = GONE
    await bench.ask()
    assert bench.log == ["a", "b"]
    assert (bench.observer.retries, bench.observer.ejections) == (1, ["a:1"])
    assert bench.pool.slots() == 2
    await bench.ask()
    await bench.ask()
    assert bench.log == ["a", "b", "b", "b"]
    await bench.pool.aclose()


async def test_both_failing_is_the_callers_error():
    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    for server in bench.servers.values():
        server.error = GONE
    with pytest.raises(ModelServerUnavailableError):
        await bench.ask()
    assert bench.log == ["a", "b"]
    assert bench.pool.slots() == 2  # never zero: batches still need a slot
    await bench.pool.aclose()


async def test_a_probe_brings_an_address_back(monkeypatch):
    monkeypatch.setattr(pool_module, "_PROBE_INTERVAL_SECONDS", 0.01)

    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    bench.servers["a"].error = GONE
    await bench.ask()
    bench.servers["a"].error = None
    await until(lambda: bench.pool.slots() == 4)
    await bench.pool.aclose()


@pytest.mark.parametrize(("seconds", "ejections"), [(2.0, ["a:1"]), (0.5, [])])
async def test_three_missed_deadlines_eject_a_silent_address_unless_they_were_short(
    seconds, ejections
):
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    bench.servers["a"].error = SLOW
    for _ in range(3):
        with pytest.raises(DeadlineExceededError):
            await bench.ask(seconds)
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.observer.ejections == ejections
    assert bench.observer.retries == 0
    await bench.pool.aclose()


@pytest.mark.parametrize(("is_telling", "ejections"), [(True, ["a:1"]), (False, [])])
async def test_deadlines_missed_for_nobody_are_not_held_against_an_address(is_telling, ejections):
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    bench.servers["a"].error = SLOW
    for _ in range(6):
        with pytest.raises(DeadlineExceededError):
            await bench.predict(is_telling=is_telling)
        for _ in range(5):
            await asyncio.sleep(0)
    assert bench.observer.ejections == ejections
    await bench.pool.aclose()


async def test_an_address_that_nobody_reaches_is_ejected_whoever_asked():
    bench = Bench(fixed=(A, B))
    await bench.pool.start()
    bench.servers["a"].error = GONE
    await bench.predict(is_telling=False)
    assert bench.observer.ejections == ["a:1"]
    await bench.pool.aclose()


async def test_an_address_that_is_slow_but_talks_is_busy_and_stays():
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    for _ in range(4):
        bench.servers["a"].error = SLOW
        with pytest.raises(DeadlineExceededError):
            await bench.ask(2.0)
        bench.servers["a"].error = CallError(Code.NOT_FOUND, "no such model")  # answers the probe
        for _ in range(5):
            await asyncio.sleep(0)
    assert bench.observer.ejections == []
    await bench.pool.aclose()


async def test_an_answer_in_between_takes_the_missed_deadlines_back():
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    for error in (SLOW, SLOW, None, SLOW, SLOW):
        bench.servers["a"].error = error
        with pytest.raises(DeadlineExceededError) if error else nullcontext():
            await bench.ask(2.0)
    assert bench.observer.ejections == []
    await bench.pool.aclose()


async def test_a_call_that_succeeds_brings_an_ejected_address_back_before_any_probe():
    bench = Bench(fixed=(A,))
    await bench.pool.start()
    bench.servers["a"].error = GONE
    with pytest.raises(ModelServerUnavailableError):
        await bench.ask()
    bench.servers["a"].error = None
    await bench.ask()
    bench.servers["a"].error = GONE
    with pytest.raises(ModelServerUnavailableError):
        await bench.ask()
    assert bench.observer.ejections == ["a:1", "a:1"]
    await bench.pool.aclose()


async def test_a_names_new_addresses_are_used_and_old_ones_closed_after_their_last_call(resolver):
    bench = Bench(names=(Address("svc", 1),))
    await bench.pool.start()
    bench.servers["a"].gate = asyncio.Event()
    last_call = asyncio.ensure_future(bench.ask())
    await until(lambda: bench.log == ["a"])
    resolver["addresses"] = [B]
    await until(lambda: "b" in bench.servers and bench.pool.slots() == 2)
    await resolved_again(resolver)
    await bench.ask()
    assert bench.log == ["a", "b"]
    assert not bench.servers["a"].is_closed
    bench.servers["a"].gate.set()
    await last_call
    await until(lambda: bench.servers["a"].is_closed)
    await bench.pool.aclose()
    assert bench.servers["b"].is_closed


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
    with pytest.raises(ModelServerUnavailableError, match="does not resolve"):
        await bench.ask()
    assert bench.pool.row_encoding == "content"  # workers may be encoding meanwhile
    resolver["addresses"] = [C]
    await until(lambda: "c" in bench.servers)
    await bench.ask()
    await bench.pool.aclose()
