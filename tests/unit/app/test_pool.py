"""The pool: picking, retrying, and following a name whose addresses change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app.errors import DeadlineExceededError, ModelServerUnavailableError
from app.model_server import pool as pool_module
from app.model_server.addresses import Address, Targets
from app.model_server.pool import ModelServerPool

A, B, C = (Address(name, 1) for name in "abc")


class Server:
    """A model server that answers `statuses` as it is told."""

    def __init__(self, address: Address, log: list[str]) -> None:
        self.address, self.log = address, log
        self.error: Exception | None = None
        self.is_closed = False
        self.gate: asyncio.Event | None = None

    async def statuses(self, _: str, *, timeout_seconds: float) -> list[object]:
        assert timeout_seconds > 0
        self.log.append(self.address.host)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return []

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
            self._connect,
            encode_row=lambda _: b"row",
            observer=self.observer,
            resolve_interval_seconds=interval,
        )

    def _connect(self, address: Address) -> Server:
        return self.servers.setdefault(address.host, Server(address, self.log))

    async def ask(self, seconds: float = 5.0) -> None:
        await self.pool.statuses("m", timeout_seconds=seconds)


def run(scenario: Callable[..., object], *arguments: object) -> None:
    asyncio.run(asyncio.wait_for(scenario(*arguments), 5))


async def until(claim: Callable[[], bool]) -> None:
    while not claim():  # noqa: ASYNC110 - the claims are about several objects
        await asyncio.sleep(0.005)


@pytest.fixture
def resolver(monkeypatch):
    """What names resolve to right now; None: they do not."""
    answer = {"addresses": [A]}

    async def resolve(_):
        return answer["addresses"]

    monkeypatch.setattr(pool_module, "resolve", resolve)
    return answer


def test_idle_addresses_take_turns():
    async def scenario():
        bench = Bench(fixed=(A, B, C))
        await bench.pool.start()
        for _ in range(6):
            await bench.ask()
        assert sorted(bench.log) == ["a", "a", "b", "b", "c", "c"]
        assert bench.log[:3] == bench.log[3:]

    run(scenario)


def test_the_least_loaded_address_is_picked():
    async def scenario():
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

    run(scenario)


def test_a_failure_is_retried_once_elsewhere_and_the_address_ejected():
    async def scenario():
        bench = Bench(fixed=(A, B))
        await bench.pool.start()
        bench.servers["a"].error = ModelServerUnavailableError("gone")
        await bench.ask()
        assert bench.log == ["a", "b"]
        assert (bench.observer.retries, bench.observer.ejections) == (1, ["a:1"])
        assert bench.pool.size == 1
        await bench.ask()
        await bench.ask()
        assert bench.log == ["a", "b", "b", "b"]
        await bench.pool.aclose()

    run(scenario)


def test_both_failing_is_the_callers_error():
    async def scenario():
        bench = Bench(fixed=(A, B))
        await bench.pool.start()
        for server in bench.servers.values():
            server.error = ModelServerUnavailableError("gone")
        with pytest.raises(ModelServerUnavailableError):
            await bench.ask()
        assert bench.log == ["a", "b"]
        assert bench.pool.size == 1  # never zero: batches still need a slot
        await bench.pool.aclose()

    run(scenario)


def test_a_probe_brings_an_address_back(monkeypatch):
    monkeypatch.setattr(pool_module, "_PROBE_INTERVAL_SECONDS", 0.01)

    async def scenario():
        bench = Bench(fixed=(A, B))
        await bench.pool.start()
        bench.servers["a"].error = ModelServerUnavailableError("gone")
        await bench.ask()
        bench.servers["a"].error = None
        await until(lambda: bench.pool.size == 2)
        await bench.pool.aclose()

    run(scenario)


@pytest.mark.parametrize(("seconds", "ejections"), [(2.0, ["a:1"]), (0.5, [])])
def test_three_missed_deadlines_eject_unless_they_were_short(seconds, ejections):
    async def scenario():
        bench = Bench(fixed=(A,))
        await bench.pool.start()
        bench.servers["a"].error = DeadlineExceededError("slow")
        for _ in range(3):
            with pytest.raises(DeadlineExceededError):
                await bench.ask(seconds)
        assert bench.observer.ejections == ejections
        assert bench.observer.retries == 0
        await bench.pool.aclose()

    run(scenario)


def test_a_names_new_addresses_are_used_and_old_ones_closed_after_their_last_call(resolver):
    async def scenario():
        bench = Bench(names=(Address("svc", 1),))
        await bench.pool.start()
        bench.servers["a"].gate = asyncio.Event()
        last_call = asyncio.ensure_future(bench.ask())
        await until(lambda: bench.log == ["a"])
        resolver["addresses"] = [B]
        await until(lambda: "b" in bench.servers and bench.pool.size == 1)
        await asyncio.sleep(0.03)
        await bench.ask()
        assert bench.log == ["a", "b"]
        assert not bench.servers["a"].is_closed
        bench.servers["a"].gate.set()
        await last_call
        await until(lambda: bench.servers["a"].is_closed)
        await bench.pool.aclose()
        assert bench.servers["b"].is_closed

    run(scenario)


def test_a_name_that_stops_resolving_keeps_its_addresses(resolver):
    async def scenario():
        bench = Bench(names=(Address("svc", 1),))
        await bench.pool.start()
        resolver["addresses"] = None
        await asyncio.sleep(0.03)
        await bench.ask()
        assert bench.log == ["a"]
        await bench.pool.aclose()

    run(scenario)


def test_a_name_that_never_resolved_is_unavailable(resolver):
    async def scenario():
        resolver["addresses"] = None
        bench = Bench(names=(Address("svc", 1),))
        await bench.pool.start()
        with pytest.raises(ModelServerUnavailableError, match="does not resolve"):
            await bench.ask()
        assert bench.pool.encode_row(b"") == b"row"  # worker threads may be encoding meanwhile
        resolver["addresses"] = [C]
        await until(lambda: "c" in bench.servers)
        await bench.ask()
        await bench.pool.aclose()

    run(scenario)
