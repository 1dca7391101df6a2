"""What the gateway knows about the models: which version a servable stands for, and its card.

A version never changes once published, so a `ModelVersion` is kept for good (the newest few per
model). What *can* change is which version a name or a label stands for: kept for a second, and
corrected by every answer that names its version.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from app.errors import (
    GatewayError,
    ModelError,
    ModelNotFoundError,
    ModelNotReadyError,
    ModelServerError,
    ModelVersionNotFoundError,
)
from app.interface import Interface, exported_interface, foreign_interface
from app.model_server.base import Input, ModelServer, Servable
from contract import signatures
from contract.card import ModelCard

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from app.model_settings import ModelSettings

_MAX_VERSIONS: Final = 64
"""Cards kept; an ImageNet card is 100 kB of labels."""
_FRESH_SECONDS: Final = 1.0
_STALE_SECONDS: Final = 10.0
_LOOKUP_SECONDS: Final = 5.0
"""Lookups are shared by all who wait for them, so they have a deadline of their own."""
_QUERY: Final = (0).to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of one model, ready to be asked."""

    name: str
    version: int
    interface: Interface
    card: ModelCard | None
    """None when the SavedModel did not come from our exporter."""


@dataclass(slots=True)
class _Current:
    version: int
    seen_at: float


class Catalog:
    """Resolves servables to versions through the model server."""

    def __init__(
        self,
        server: ModelServer,
        settings: Mapping[str, ModelSettings],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._server = server
        self._settings = settings
        self._clock = clock
        self._versions: OrderedDict[tuple[str, int], ModelVersion] = OrderedDict()
        self._current: dict[Servable, _Current] = {}
        self._lookups: dict[object, asyncio.Task[Any]] = {}

    async def resolve(self, servable: Servable, *, fresh: bool = False) -> ModelVersion:
        """The version that the servable stands for.

        Args:
            servable: by number, by label, or the served one.
            fresh: ask the model server even if the last answer is recent.

        Raises:
            ModelError: no such model, version or label.
            ModelServerError: the model server does not answer, or no version is ready.
        """
        if servable.version is not None:
            return await self.version(servable.name, servable.version)
        current = self._current.get(servable)
        age = self._clock() - current.seen_at if current else _STALE_SECONDS
        if current is None or fresh or age >= _STALE_SECONDS:
            number = await self._shared(servable, lambda: self._look_up(servable))
        else:
            number = current.version
            if age >= _FRESH_SECONDS:
                self._in_background(servable)
        return await self.version(servable.name, number)

    async def version(self, name: str, number: int) -> ModelVersion:
        """That very version, from the cache or through the model server."""
        key = (name, number)
        if (known := self._versions.get(key)) is not None:
            return known
        loaded: ModelVersion = await self._shared(key, lambda: self._load(name, number))
        return loaded

    def learn(self, servable: Servable, number: int) -> None:
        """An answer named its version: that is what the servable stands for now."""
        if servable.version is None:
            self._current[servable] = _Current(number, self._clock())

    def forget(self, servable: Servable) -> bool:
        """Drop what a name or label stood for; whether anything was known."""
        return self._current.pop(servable, None) is not None

    async def explain(self, error: ModelError, servable: Servable) -> GatewayError:
        """Say why a servable was not found: wrong model, wrong version, or not ready yet."""
        self.forget(servable)
        try:
            statuses = await self._server.statuses(servable.name, timeout_seconds=_LOOKUP_SECONDS)
        except ModelNotFoundError as unknown:
            return unknown
        except GatewayError:
            return error
        wanted = [each for each in statuses if servable.version in {None, each.version}]
        if any(each.state in {"START", "LOADING"} for each in wanted):
            return ModelNotReadyError(f"{servable} is still loading", reason=error.reason)
        if servable.version is None and servable.label is None:
            return ModelNotReadyError(f"{servable} has no available version", reason=error.reason)
        return ModelVersionNotFoundError(f"{servable} is not served", reason=error.reason)

    async def aclose(self) -> None:
        """Cancel lookups in flight."""
        tasks = list(self._lookups.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, servable: Servable) -> int:
        metadata = await self._server.metadata(servable, timeout_seconds=_LOOKUP_SECONDS)
        self.learn(servable, metadata.version)
        return metadata.version

    async def _load(self, name: str, number: int) -> ModelVersion:
        servable = Servable(name, version=number)
        metadata = await self._server.metadata(servable, timeout_seconds=_LOOKUP_SECONDS)
        if signatures.MODEL_CARD in metadata.signatures:
            card = await self._read_card(servable)
            interface = exported_interface(card, as_strings=self._server.prefers_strings)
            loaded = ModelVersion(name, number, interface, card)
        else:
            interface = foreign_interface(name, metadata, self._settings.get(name))
            loaded = ModelVersion(name, number, interface, None)
        self._versions[name, number] = loaded
        if len(self._versions) > _MAX_VERSIONS:
            self._versions.popitem(last=False)
        return loaded

    async def _read_card(self, servable: Servable) -> ModelCard:
        query = Input(signatures.QUERY, "int32", (), (self._encoded_query(),))
        answer = await self._server.predict(
            servable,
            signatures.MODEL_CARD,
            query,
            outputs=(signatures.CARD,),
            timeout_seconds=_LOOKUP_SECONDS,
        )
        try:
            return ModelCard.model_validate_json(answer.outputs[signatures.CARD][0][0])
        except (ValidationError, KeyError, IndexError, TypeError) as error:
            raise ModelServerError(f"the model card of {servable} cannot be read") from error

    def _encoded_query(self) -> bytes:
        return b"0" if self._server.prefers_strings else _QUERY

    async def _shared(self, key: object, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """One lookup for everybody who needs it; a waiter that gives up does not end it."""
        task = self._lookups.get(key)
        if task is None:
            task = asyncio.create_task(work())
            self._lookups[key] = task
            task.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(task)

    def _in_background(self, servable: Servable) -> None:
        if servable not in self._lookups:
            task = asyncio.create_task(self._look_up(servable))
            self._lookups[servable] = task
            task.add_done_callback(lambda done: self._finish(servable, done))

    def _finish(self, key: object, task: asyncio.Task[Any]) -> None:
        """Nobody may await it any more: its failure is then found again by the next request."""
        self._lookups.pop(key, None)
        if not task.cancelled():
            task.exception()
