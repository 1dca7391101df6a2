"""The model servers that an URL names: which there are, which to ask, and when to ask again.

They may serve different versions: whoever asks says which of them will do (see `classify.catalog`),
and asks again elsewhere where a server was not reached. That has a budget, so that retries never
multiply an overload.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Final, Protocol

from app.errors import ModelServerUnavailableError
from app.model_server.addresses import Address, Targets, resolve
from app.model_server.replica import Replica, Standing
from protocol.client import Client
from protocol.tls import Tls

_PROBE_INTERVAL_SECONDS: Final = 0.5
_RESOLVE_AGAIN_SECONDS: Final = 0.2
"""Between two lookups of a name, however many addresses refuse."""
_FRESH_ADDRESS_SECONDS: Final = 3.0
"""How long after the last address was lost photos wait for another one. Then it is an outage, and
nothing is gained by letting everybody wait."""

_BUDGET_MAX: Final = 128.0
_BUDGET_PER_IMAGE: Final = 0.2
"""At most every fifth image is sent again, after a first burst: what one address had in flight."""


class PoolObserver(Protocol):
    """What the pool reports; metrics implement it."""

    def retried(self) -> None:
        """An image is sent again."""

    def ejected(self, address: str) -> None:
        """An address is out of use until it answers."""


class ModelServerPool:
    """The replicas behind `targets`."""

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
        self._replicas: dict[Address, Replica] = {}
        self._budget = _BUDGET_MAX
        self._calls = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stale = asyncio.Event()
        self._has_risen = asyncio.Event()
        self._lost_at = float("-inf")
        self._listeners: list[Callable[[Replica], None]] = []
        self.prove: Callable[[Replica], Awaitable[object]] = Replica.talk
        """Asks a replica that is suspected for a prediction, which ends the suspicion; no failure
        is raised."""
        self.row_encoding = client_class.row_encoding
        self.reports_version = client_class.reports_version
        self.prefers_strings = client_class.prefers_strings

    async def start(self) -> None:
        """Resolve and connect (lazily: a model server that is down does not fail the start)."""
        await self._refresh()
        if self._targets.names:
            self._spawn(self._refresh_forever())

    def when_gone(self, listener: Callable[[Replica], None]) -> None:
        """Tell the listener of each replica that is not an address of the name any more."""
        self._listeners.append(listener)

    @property
    def replicas(self) -> Collection[Replica]:
        """All of them."""
        return self._replicas.values()

    @property
    def usable(self) -> list[Replica]:
        """Those to be asked: the ones in use; if there are none, those that are worth a try."""
        return self._in_use() or [each for each in self.replicas if each.is_worth_a_call]

    def nobody(self) -> ModelServerUnavailableError:
        """What to say when none is usable."""
        if not self._replicas:
            detail = "the model server's name does not resolve to any address"
        else:
            detail = "the model server does not answer; it is asked again every half second"
        return ModelServerUnavailableError(detail)

    def standings(self) -> Counter[Standing]:
        """How many addresses stand how."""
        return Counter(each.standing for each in self._replicas.values())

    def slots(self, replicas: Collection[Replica] | None = None) -> int:
        """How many calls of one kind should be in flight at most, over these or all in use."""
        if replicas is None:
            replicas = self._in_use()
        return max(1, len(replicas)) * self._calls_per_address

    def pick(self, among: Collection[Replica], *, images: int) -> Replica:
        """The least loaded of them, then the least recent; it is about to be asked about images."""
        picked = min(among, key=lambda each: (not each.is_in_use, each.in_flight, each.last_call))
        self._calls += 1
        picked.last_call = self._calls
        self._budget = min(_BUDGET_MAX, self._budget + images * _BUDGET_PER_IMAGE)
        return picked

    def may_retry(self) -> bool:
        """Whether an image may be sent again; then it is paid for."""
        if self._budget < 1:
            return False
        self._budget -= 1
        self._observer.retried()
        return True

    async def another(self, timeout_seconds: float) -> bool:
        """Whether there is an address in use; one is waited for, where others may come.

        Not for long after the last one was lost: who replaces it is there within moments, known to
        those who resolve the name, or on its way back since an earlier loss.
        """
        if self._in_use():
            return True
        waited = asyncio.get_running_loop().time() - self._lost_at
        seconds = min(timeout_seconds, _FRESH_ADDRESS_SECONDS - waited)
        may_others_come = len(self._replicas) > 1 or self._targets.names
        if not may_others_come or seconds <= 0:
            return False
        try:
            async with asyncio.timeout(seconds):
                await self._has_risen.wait()
        except TimeoutError:
            return False
        return True

    async def aclose(self) -> None:
        """Stop probing and close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for replica in self._replicas.values():
            await replica.aclose()
        self._replicas.clear()

    def _in_use(self) -> list[Replica]:
        return [each for each in self._replicas.values() if each.is_in_use]

    def _fell(self, replica: Replica) -> None:
        self._observer.ejected(str(replica))
        self._spawn(self._probe(replica))
        self._is_stale.set()
        self._note_loss()

    def _rose(self, _: Replica) -> None:
        self._has_risen.set()

    def _note_loss(self) -> None:
        if not self._in_use():
            self._has_risen.clear()
            self._lost_at = asyncio.get_running_loop().time()

    async def _probe(self, replica: Replica) -> None:
        """Ask until it is in use again, or gone from the pool."""
        while True:
            await asyncio.sleep(_PROBE_INTERVAL_SECONDS)
            if replica.is_in_use or self._replicas.get(replica.address) is not replica:
                return
            await replica.talk()
            if replica.standing is Standing.SUSPECTED and replica.talks:
                await self.prove(replica)

    async def _refresh_forever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._resolve_interval_seconds):
                    await self._is_stale.wait()
            except TimeoutError:
                pass
            self._is_stale.clear()
            await self._refresh()
            if not self._in_use():
                self._is_stale.set()  # whoever replaces them is to be found at once
            await asyncio.sleep(min(_RESOLVE_AGAIN_SECONDS, self._resolve_interval_seconds))

    async def _refresh(self) -> None:
        addresses = await resolve(self._targets)
        if addresses is None:
            addresses = [*self._targets.fixed, *self._replicas]
        for address in addresses:
            if address not in self._replicas:
                self._replicas[address] = self._replica(address)
                self._has_risen.set()
        for gone in self._replicas.keys() - set(addresses):
            replica = self._replicas.pop(gone)
            self._spawn(replica.retire())
            if replica.is_in_use:
                self._note_loss()
            for listener in self._listeners:
                listener(replica)

    def _replica(self, address: Address) -> Replica:
        return Replica(address, self._connect(address), on_fall=self._fell, on_rise=self._rose)

    def _connect(self, address: Address) -> Client:
        if self._tls is None:
            return self._client_class(str(address))
        return self._client_class(str(address), self._tls.naming(address.name))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
