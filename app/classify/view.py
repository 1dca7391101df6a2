"""What one model server serves, as far as is known.

A belief (this name, number or label stands for that version; or for none) is held for ten seconds:

    age in seconds    0 ─────── 1 ──────────────── 2 ─────────────────── 10 ───────
                      believed  asked in passing   waited for, a moment  waited for

Every answer that names its version says which one it was. All beliefs end when the connection does:
behind the next one may be another process with other models.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.classify.versions import LOOKUP_SECONDS, ModelVersion, Versions
from app.errors import ModelError, ModelNotReadyError, ModelVersionNotFoundError
from app.model_server.replica import Replica
from protocol.models import Metadata, ModelSpec

_FRESH_SECONDS: Final = 1.0
_RECENT_SECONDS: Final = 2.0
_STALE_SECONDS: Final = 10.0
_ASKED: Final = 4
"""Versions may change while they are asked for, and connections be made."""
_MAX_KNOWN: Final = 256
_MOMENT_SECONDS: Final = 0.1
"""A model server that has nothing to do says within milliseconds whether a belief is still right;
one that is busy does not hold up requests for it."""


@dataclass(slots=True)
class _Belief:
    model: ModelVersion | None
    """None: the spec stands for nothing there."""
    seen_at: float


@dataclass(frozen=True, slots=True)
class _Known:
    """What a number stood for when it was last read."""

    model: ModelVersion
    seen_at: float


@dataclass(frozen=True, slots=True)
class Moment:
    """When a replica was asked, and over which of its connections."""

    at: float
    connections: int


class View:
    """The beliefs about one replica."""

    def __init__(self, replica: Replica, versions: Versions, *, clock: Callable[[], float]) -> None:
        self.replica = replica
        self._versions = versions
        self._clock = clock
        self._beliefs: dict[ModelSpec, _Belief] = {}
        self._models: dict[tuple[str, int], _Known] = {}
        self._lookups: dict[ModelSpec, asyncio.Task[ModelVersion]] = {}
        self._connections = replica.connections
        self._doubted_at = -math.inf
        """What was read before is read again."""

    def serves(self, spec: ModelSpec, model: ModelVersion) -> bool:
        """Whether that is what the spec stands for here, as far as is known."""
        belief = self._belief(spec)
        return belief is not None and belief.model is model

    def last_known(self, spec: ModelSpec) -> ModelVersion | None:
        """What the spec stood for here when it was last heard of."""
        belief = self._belief(spec)
        return None if belief is None else belief.model

    def believed(self, spec: ModelSpec) -> ModelVersion | None:
        """What the spec stands for, if that is known well enough to be asked for at once.

        What is not known well enough is asked for in passing.
        """
        belief = self._belief(spec)
        age = _STALE_SECONDS if belief is None else self._clock() - belief.seen_at
        if age >= _FRESH_SECONDS:
            self.look_up(spec)
        return None if belief is None or age >= _RECENT_SECONDS else belief.model

    async def resolve(self, spec: ModelSpec, *, fresh: bool = False) -> ModelVersion:
        """What the spec stands for; `fresh`: at this moment.

        Raises:
            ModelError: it stands for nothing here.
            ModelServerError: there is no answer.
        """
        lookup = self.look_up(spec)
        belief = self._belief(spec)
        is_stale = belief is None or self._clock() - belief.seen_at >= _STALE_SECONDS
        timeout = None if fresh or is_stale else _MOMENT_SECONDS
        done, _ = await asyncio.wait((lookup,), timeout=timeout)
        if belief is not None and belief.model is not None and not done:
            return belief.model
        return await asyncio.shield(lookup)

    async def resolve_again(self, spec: ModelSpec) -> ModelVersion:
        """What the spec stands for, by a lookup that begins after this call.

        The answer to one that is under way may be of before what has just been found out.

        Raises:
            GatewayError: as `resolve`.
        """
        self._doubted_at = self._clock()
        if (under_way := self._lookups.get(spec)) is not None:
            await asyncio.wait((under_way,))
        return await asyncio.shield(self.look_up(spec))

    def look_up(self, spec: ModelSpec) -> asyncio.Task[ModelVersion]:
        """One lookup for everybody who needs it; a waiter that gives up does not end it."""
        task = self._lookups.get(spec)
        if task is None:
            task = self._lookups[spec] = asyncio.create_task(self._look_up(spec))
            task.add_done_callback(lambda done: self._finish(spec, done))
        return task

    async def version(self, name: str, number: int) -> ModelVersion:
        """That very version, as it was a moment ago or is now.

        Raises:
            GatewayError: as `resolve`.
        """
        if (known := self._read_just_now(name, number)) is not None:
            return known
        return await asyncio.shield(self.look_up(ModelSpec(name, version=number)))

    @property
    def moment(self) -> Moment:
        """Now, at this replica."""
        return Moment(self._clock(), self.replica.connections)

    def answered(self, spec: ModelSpec, number: int, *, asked: Moment) -> None:
        """An answer for the spec named this version."""
        belief = self._belief(spec)
        if belief is None:
            return
        if belief.model is not None and belief.model.version == number:
            belief.seen_at = max(belief.seen_at, asked.at)
        elif belief.seen_at <= asked.at:
            self.doubt(spec)

    def doubt(self, spec: ModelSpec) -> None:
        """What is believed of the spec is wrong: what it was may be gone, and its number free."""
        belief = self._beliefs.pop(spec, None)
        if belief is not None and (model := belief.model) is not None:
            self._doubted_at = self._clock()
            self._versions.forget(model)
            for other in [each for each, known in self._beliefs.items() if known.model is model]:
                del self._beliefs[other]

    def forget(self) -> None:
        """Nothing is known any more."""
        for known in self._models.values():
            self._versions.forget(known.model)
        self._beliefs.clear()
        self._models.clear()
        self._connections = self.replica.connections

    async def aclose(self) -> None:
        """Cancel lookups in flight."""
        tasks = list(self._lookups.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _belief(self, spec: ModelSpec) -> _Belief | None:
        self._check_connection()
        return self._beliefs.get(spec)

    def _check_connection(self) -> None:
        if self._connections != self.replica.connections:
            self.forget()

    async def _look_up(self, spec: ModelSpec) -> ModelVersion:
        try:
            model = await self._ask(spec)
        except ModelError:
            self.doubt(spec)
            self._believe(spec, None)
            raise
        if self.last_known(spec) is not model:
            self.doubt(spec)
        self._believe(spec, model)
        return model

    async def _ask(self, spec: ModelSpec) -> ModelVersion:
        """Which version it is, and what that is; again where the one was gone before the other.

        Raises:
            GatewayError: as `resolve`.
        """
        for _ in range(_ASKED):
            connections = self.replica.connections
            metadata = await self.replica.metadata(spec, timeout_seconds=LOOKUP_SECONDS)
            try:
                model = await self._read(metadata)
            except ModelVersionNotFoundError:
                if spec.version is not None:
                    raise
                continue
            if self.replica.connections == connections:
                return model
        raise ModelNotReadyError(f"{spec} changes faster than it can be asked for")

    async def _read(self, metadata: Metadata) -> ModelVersion:
        """What the version is, unless that was read a moment ago."""
        known = self._read_just_now(metadata.name, metadata.version)
        if known is not None:
            return known
        began = self._clock()
        model = await self._versions.read(self.replica, metadata)
        if len(self._models) >= _MAX_KNOWN:
            self._models.clear()
        self._models[metadata.name, metadata.version] = _Known(model, began)
        return model

    def _read_just_now(self, name: str, number: int) -> ModelVersion | None:
        self._check_connection()
        known = self._models.get((name, number))
        if known is None or known.seen_at <= self._doubted_at:
            return None
        return known.model if self._clock() - known.seen_at < _FRESH_SECONDS else None

    def _believe(self, spec: ModelSpec, model: ModelVersion | None) -> None:
        if len(self._beliefs) >= _MAX_KNOWN:  # whoever asks may invent names
            self._beliefs.clear()
        self._beliefs[spec] = _Belief(model, self._clock())

    def _finish(self, spec: ModelSpec, task: asyncio.Task[ModelVersion]) -> None:
        """Nobody may await it any more: its failure is then found again by the next request."""
        self._lookups.pop(spec, None)
        if not task.cancelled():
            task.exception()
