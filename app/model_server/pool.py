"""Several addresses of one model server as one: pick, eject, retry, and name what went wrong.

    address:  in use ──unreachable, or silent too often──► ejected ──probe answers──► in use
                 ▲                                            │
                 └─ all ejected ──────────────────────────────┘
                    (then the pool tries them anyway: a wrong guess must never take the service
                    down by itself)

Only UNAVAILABLE and broken connections are retried: once, on another address if there is one,
within the deadline and under a budget, so that retries never multiply an overload.

Here the protocol's errors become the gateway's: everybody above sees GatewayErrors only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from app.errors import DeadlineExceededError, GatewayError, ModelServerUnavailableError
from app.model_server.addresses import Address, Targets, resolve
from app.model_server.failures import translate
from protocol.client import Client, Headers, Input, Prediction, ProtocolError
from protocol.models import Metadata, ModelSpec, VersionStatus
from protocol.tls import Tls

_T = TypeVar("_T")

_PROBE_TIMEOUT_SECONDS: Final = 1.0
_PROBE_INTERVAL_SECONDS: Final = 0.5
_TIMEOUTS_UNTIL_SUSPECTED: Final = 3
"""One slow answer proves nothing; three in a row from one address are a hung process, or too much
work. An overload is no reason to send it all to the others: a probe tells which it is."""
_TELLING_TIMEOUT_SECONDS: Final = 1.0
"""Missing a shorter deadline, which clients choose, says nothing about the address."""

_BUDGET_MAX: Final = 10.0
_BUDGET_PER_CALL: Final = 0.2
"""At most every fifth call is a retry, after a first burst of ten."""

_NOBODY: Final = ModelSpec("no-such-model")
"""Probing asks for a model's status; any answer, NOT_FOUND too, proves that the server talks."""


class PoolObserver(Protocol):
    """What the pool reports; metrics implement it."""

    def retried(self) -> None:
        """A call is made a second time."""

    def ejected(self, address: str) -> None:
        """An address is out of use until a probe answers."""


@dataclass(slots=True, eq=False)
class _Member:
    address: Address
    client: Client
    in_flight: int = 0
    last_call: int = 0
    timeouts: int = 0
    is_ejected: bool = False
    is_retired: bool = False


class ModelServerPool:
    """Calls of a model server as in `protocol.client.Client`, over all addresses of `targets`."""

    def __init__(
        self,
        targets: Targets,
        client_class: type[Client],
        *,
        calls_per_address: int,
        resolve_interval_seconds: float,
        observer: PoolObserver,
        tls: Tls | None = None,
    ) -> None:
        self._targets = targets
        self._tls = tls
        self._client_class = client_class
        self._calls_per_address = calls_per_address
        self._resolve_interval_seconds = resolve_interval_seconds
        self._observer = observer
        self._members: dict[Address, _Member] = {}
        self._budget = _BUDGET_MAX
        self._call_number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.row_encoding = client_class.row_encoding
        self.reports_version = client_class.reports_version
        self.prefers_strings = client_class.prefers_strings

    async def start(self) -> None:
        """Resolve and connect (lazily: a model server that is down does not fail the start)."""
        await self._refresh()
        if self._targets.names:
            self._spawn(self._refresh_forever())

    def slots(self) -> int:
        """How many calls of one kind should be in flight at most, over all addresses in use."""
        in_use = sum(not member.is_ejected for member in self._members.values())
        return max(1, in_use) * self._calls_per_address

    async def predict(
        self,
        spec: ModelSpec,
        tensor: Input,
        *,
        outputs: Sequence[str],
        timeout_seconds: float,
        headers: Headers = (),
        is_telling: bool = True,
    ) -> Prediction:
        """See `Client.predict`.

        Unless the call is telling, missing its deadline is not held against the address: a version
        that is only tried out may hang while those that are served do not.
        """

        def call(client: Client, seconds: float) -> Awaitable[Prediction]:
            return client.predict(
                spec, tensor, outputs=outputs, timeout_seconds=seconds, headers=headers
            )

        return await self._call(call, spec, timeout_seconds, is_telling=is_telling)

    async def metadata(self, spec: ModelSpec, *, timeout_seconds: float) -> Metadata:
        """See `Client.metadata`."""
        return await self._call(
            lambda client, seconds: client.metadata(spec, timeout_seconds=seconds),
            spec,
            timeout_seconds,
        )

    async def statuses(self, name: str, *, timeout_seconds: float) -> list[VersionStatus]:
        """See `Client.statuses`."""
        return await self._call(
            lambda client, seconds: client.statuses(name, timeout_seconds=seconds),
            ModelSpec(name),
            timeout_seconds,
        )

    async def aclose(self) -> None:
        """Stop probing and close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for member in self._members.values():
            await member.client.aclose()
        self._members.clear()

    async def _call(
        self,
        call: Callable[[Client, float], Awaitable[_T]],
        spec: ModelSpec,
        timeout_seconds: float,
        *,
        is_telling: bool = True,
    ) -> _T:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + timeout_seconds
        self._budget = min(_BUDGET_MAX, self._budget + _BUDGET_PER_CALL)
        first = self._pick(avoid=None)
        try:
            return await self._attempt(first, call, spec, timeout_seconds, is_telling=is_telling)
        except ModelServerUnavailableError:
            remaining = give_up_at - loop.time()
            if remaining <= 0 or self._budget < 1:
                raise
            self._budget -= 1
            self._observer.retried()
            second = self._pick(avoid=first)
            return await self._attempt(second, call, spec, remaining, is_telling=is_telling)

    async def _attempt(
        self,
        member: _Member,
        call: Callable[[Client, float], Awaitable[_T]],
        spec: ModelSpec,
        timeout_seconds: float,
        *,
        is_telling: bool,
    ) -> _T:
        member.in_flight += 1
        self._call_number += 1
        member.last_call = self._call_number
        try:
            answer = await call(member.client, timeout_seconds)
        except ProtocolError as error:
            ours = translate(error, spec)
            is_long = timeout_seconds >= _TELLING_TIMEOUT_SECONDS
            self._judge(member, ours, is_telling=is_telling and is_long)
            raise ours from error
        else:
            member.timeouts = 0
            member.is_ejected = False
            return answer
        finally:
            member.in_flight -= 1
            if member.is_retired:
                self._close_if_done(member)

    def _judge(self, member: _Member, error: GatewayError, *, is_telling: bool) -> None:
        """What a failure says about the address that answered it, or did not."""
        if isinstance(error, ModelServerUnavailableError):
            self._eject(member)
        elif isinstance(error, DeadlineExceededError) and is_telling:
            member.timeouts += 1
            if member.timeouts >= _TIMEOUTS_UNTIL_SUSPECTED:
                member.timeouts = 0
                self._spawn(self._eject_if_silent(member))

    def _pick(self, avoid: _Member | None) -> _Member:
        """The least loaded address, then the least recent; bad ones only for want of others."""
        if not self._members:
            raise _no_address()
        return min(
            self._members.values(),
            key=lambda member: (
                member is avoid,
                member.is_ejected,
                member.in_flight,
                member.last_call,
            ),
        )

    def _eject(self, member: _Member) -> None:
        if member.is_ejected or member.address not in self._members:
            return
        member.is_ejected = True
        self._observer.ejected(str(member.address))
        self._spawn(self._probe(member))

    async def _probe(self, member: _Member) -> None:
        """Ask until the address answers, a call succeeds, or it is gone from the pool."""
        while member.is_ejected and self._members.get(member.address) is member:
            await asyncio.sleep(_PROBE_INTERVAL_SECONDS)
            if await _talks(member.client):
                member.is_ejected = False
                member.timeouts = 0

    async def _eject_if_silent(self, member: _Member) -> None:
        if not await _talks(member.client):
            self._eject(member)

    async def _refresh_forever(self) -> None:
        while True:
            await asyncio.sleep(self._resolve_interval_seconds)
            await self._refresh()

    async def _refresh(self) -> None:
        addresses = await resolve(self._targets)
        if addresses is None:
            addresses = [*self._targets.fixed, *self._members]
        for address in addresses:
            if address not in self._members:
                self._members[address] = _Member(address, self._connect(address))
        for gone in self._members.keys() - set(addresses):
            member = self._members.pop(gone)
            member.is_retired = True
            self._close_if_done(member)

    def _connect(self, address: Address) -> Client:
        if self._tls is None:
            return self._client_class(str(address))
        return self._client_class(str(address), self._tls.naming(address.name))

    def _close_if_done(self, member: _Member) -> None:
        """An address that is gone from the name is closed after its last call."""
        if member.is_retired and not member.in_flight:
            self._spawn(member.client.aclose())

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _talks(client: Client) -> bool:
    """Whether the server says anything at all; NOT_FOUND is the expected answer."""
    try:
        await client.statuses(_NOBODY.name, timeout_seconds=_PROBE_TIMEOUT_SECONDS)
    except ProtocolError as error:
        ours = translate(error, _NOBODY)
        return not isinstance(ours, (ModelServerUnavailableError, DeadlineExceededError))
    return True


def _no_address() -> ModelServerUnavailableError:
    return ModelServerUnavailableError("the model server's name does not resolve to any address")
