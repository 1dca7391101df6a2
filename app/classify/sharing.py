"""Equal images in flight share one decode and one inference.

    first  ──► flight (a task of its own) ──► outcome ─┬─► first
    second ──── same bytes, same version ──────────────┴─► second

A flight belongs to nobody: whoever leaves, by deadline or because the client hung up, leaves the
others alone, and the last one to leave ends it. It runs to its first request's deadline. Those who
joined and have time left when it fails for that reason ask again by themselves, and join nothing a
second time: no chain of impatient requests can keep a patient one from its answer.

Hashes are made only when a request of the same length for the same version is in flight: a request
that meets no other pays a task and a look into a dictionary.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from app.classify.catalog import Catalog
from app.classify.digest import sha256
from app.classify.inference import Outcome, Photo, Source
from app.classify.versions import ModelVersion
from app.errors import DeadlineExceededError, OverloadedError
from protocol.models import ModelSpec

_Key = tuple[ModelSpec, ModelVersion, int]
"""What is asked for, the version that it stands for as far as is known, and the file's length."""


@dataclass(slots=True, eq=False)
class _Flight:
    data: bytes
    task: asyncio.Task[Outcome]
    waiters: int = 0
    digest: bytes | None = None


class Sharing:
    """The source that asks another one once for equal images in flight."""

    def __init__(
        self, source: Source, catalog: Catalog, *, on_shared: Callable[[], object]
    ) -> None:
        """Create it.

        Args:
            source: who computes.
            catalog: knows which version a spec stands for.
            on_shared: told each time a request joins another's flight.
        """
        self._source = source
        self._catalog = catalog
        self._on_shared = on_shared
        self._flights: dict[_Key, list[_Flight]] = {}

    async def outcome(self, photo: Photo) -> Outcome:
        """See `Source.outcome`."""
        model = await self._catalog.resolve(photo.spec)
        key = (photo.spec, model, len(photo.data))
        flight = await self._equal(key, photo.data)
        if flight is None:
            return await self._wait(self._start(key, photo))
        self._on_shared()
        try:
            return await self._wait(flight)
        except (DeadlineExceededError, OverloadedError):
            pass  # that was the first one's time; ours may be longer
        finally:
            del flight  # an exception of its task would hold it, and with it the image
        return await self._source.outcome(photo)

    async def _equal(self, key: _Key, data: bytes) -> _Flight | None:
        """The flight of an equal file, if there is one."""
        candidates = self._flights.get(key)
        if not candidates:
            return None
        digest = await sha256(data)
        for flight in tuple(candidates):
            if flight.digest is None:
                flight.digest = await sha256(flight.data)
            if flight.digest == digest and flight.waiters and not flight.task.done():
                return flight
        return None

    def _start(self, key: _Key, photo: Photo) -> _Flight:
        flight = _Flight(photo.data, asyncio.create_task(self._source.outcome(photo)))
        flights = self._flights.setdefault(key, [])
        flights.append(flight)
        flight.task.add_done_callback(lambda _: self._land(key, flight))
        return flight

    def _land(self, key: _Key, flight: _Flight) -> None:
        flights = self._flights[key]
        flights.remove(flight)
        if not flights:
            del self._flights[key]
        if not flight.task.cancelled():
            flight.task.exception()  # nobody may wait for it any more

    async def _wait(self, flight: _Flight) -> Outcome:
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters:
                flight.task.cancel()  # does nothing where it is done
            del flight  # as above
