"""A pool of model servers over clients that answer as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app.errors import GatewayError
from app.model_server.addresses import Address, Targets
from app.model_server.pool import ModelServerPool
from app.model_server.replica import Standing
from protocol.client import CallError, Client, Input
from protocol.codes import Code
from protocol.models import ModelSpec

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
    """Counts what the pool reports."""

    def __init__(self) -> None:
        self.retries, self.ejections = 0, []

    def retried(self) -> None:
        self.retries += 1

    def ejected(self, address: str) -> None:
        self.ejections.append(address)


class Bench:
    """The pool, its servers by host, and who was asked, in order."""

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
