"""What the gateway knows about the models: which version a spec stands for, and its card.

A version never changes once published, so a `ModelVersion` is kept for good (the last 64 that were
loaded, over all models). What *can* change is which version a name or a label stands for: kept for
a second, and corrected by every answer that names its version.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from app.classify.image_signature import (
    CARD_QUESTION,
    ImageSignature,
    exported_signature,
    foreign_signature,
)
from app.errors import (
    GatewayError,
    ModelError,
    ModelNotFoundError,
    ModelNotReadyError,
    ModelServerError,
    ModelVersionNotFoundError,
)
from app.model_server.pool import ModelServerPool
from app.models_file import ModelSettings
from contract import signatures
from contract.card import ModelCard
from protocol.models import ModelSpec, State
from protocol.rows import ENCODERS

_MAX_VERSIONS: Final = 64
"""Cards kept; an ImageNet card is 100 kB of labels."""
_FRESH_SECONDS: Final = 1.0
_STALE_SECONDS: Final = 10.0
_LOOKUP_SECONDS: Final = 5.0
"""Lookups are shared by all who wait for them, so they have a deadline of their own."""
_QUERY: Final = np.zeros((), np.int32)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of one model, ready to be asked."""

    name: str
    version: int
    signature: ImageSignature
    card: ModelCard | None
    """None when the SavedModel did not come from our exporter."""


@dataclass(slots=True)
class _Current:
    version: int
    seen_at: float


class Catalog:
    """Resolves specs to versions through the model server."""

    def __init__(
        self,
        server: ModelServerPool,
        settings: Mapping[str, ModelSettings],
        *,
        clock: Callable[[], float],
        first_labels: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Create it.

        Args:
            server: who is asked.
            settings: of SavedModels that our exporter did not write, by model.
            clock: monotonic seconds.
            first_labels: the first one of those that answer requests which name none, for the
                models whose traffic is split.
        """
        self._server = server
        self._settings = settings
        self._clock = clock
        self._first_labels = first_labels
        self._versions: OrderedDict[tuple[str, int], ModelVersion] = OrderedDict()
        self._current: dict[ModelSpec, _Current] = {}
        self._answered: dict[str, tuple[int, float]] = {}
        self._lookups: dict[object, asyncio.Task[Any]] = {}

    async def resolve(self, spec: ModelSpec, *, fresh: bool = False) -> ModelVersion:
        """The version that the spec stands for.

        Args:
            spec: by number, by label, or the served one.
            fresh: ask the model server even if the last answer is recent, and whether it still
                serves a version that is given by its number.

        Raises:
            ModelError: no such model, version or label.
            ModelServerError: the model server does not answer, or no version is ready.
        """
        try:
            return await self._resolve(spec, fresh=fresh)
        except (ModelNotFoundError, ModelVersionNotFoundError) as error:
            if not fresh and self._current.pop(spec, None) is not None:  # gone since we asked
                return await self.resolve(spec, fresh=True)
            raise await self.explain(error, spec) from error

    async def resolve_default(self, name: str) -> ModelVersion:
        """The version that has to answer requests which name none, asked for at this moment.

        Raises:
            GatewayError: as `resolve`.
        """
        if (label := self._first_labels.get(name)) is not None:
            with suppress(ModelVersionNotFoundError, ModelNotReadyError):  # the served one then
                return await self.resolve(ModelSpec(name, version_label=label), fresh=True)
        return await self.resolve(ModelSpec(name), fresh=True)

    async def version(self, name: str, number: int) -> ModelVersion:
        """That very version, from the cache or through the model server."""
        key = (name, number)
        if (known := self._versions.get(key)) is not None:
            return known
        loaded: ModelVersion = await self._shared(key, lambda: self._load(name, number))
        return loaded

    def asked(self, spec: ModelSpec, model: ModelVersion) -> ModelSpec:
        """What to ask for: by number where the answer will not say which version it is of."""
        return spec if self._server.reports_version else ModelSpec(model.name, model.version)

    async def answered(
        self, spec: ModelSpec, model: ModelVersion, number: int | None
    ) -> ModelVersion:
        """The version that answered: `model` if it was not another."""
        if self._server.reports_version and number is not None:
            self._learn(spec, number)
        if number is not None and number != model.version:
            return await self.version(model.name, number)
        return model

    def note_answer(self, spec: ModelSpec, model: ModelVersion) -> None:
        """A request for the spec was answered, by this version and with good numbers."""
        if spec.version is None and spec.version_label in {None, self._first_labels.get(spec.name)}:
            self._answered[model.name] = (model.version, self._clock())

    def last_answer(self, name: str) -> tuple[int, float]:
        """Which version of the served model answered last, and when (long ago: never)."""
        return self._answered.get(name, (0, float("-inf")))

    async def explain(self, error: ModelError, spec: ModelSpec) -> GatewayError:
        """Say why a spec was not found: wrong model, wrong version, or not ready yet."""
        self._current.pop(spec, None)
        try:
            statuses = await self._server.statuses(spec.name, timeout_seconds=_LOOKUP_SECONDS)
        except ModelNotFoundError as unknown:
            return unknown
        except GatewayError:
            return error
        wanted = [each for each in statuses if spec.version in {None, each.version}]
        if any(each.state in {State.START, State.LOADING} for each in wanted):
            return ModelNotReadyError(f"{spec} is still loading", reason=error.reason)
        if not spec.is_pinned:
            return ModelNotReadyError(f"{spec} has no available version", reason=error.reason)
        return ModelVersionNotFoundError(f"{spec} is not served", reason=error.reason)

    async def aclose(self) -> None:
        """Cancel lookups in flight."""
        tasks = list(self._lookups.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _resolve(self, spec: ModelSpec, *, fresh: bool) -> ModelVersion:
        if spec.version is not None and not fresh:
            return await self.version(spec.name, spec.version)
        current = self._current.get(spec)
        age = self._clock() - current.seen_at if current else _STALE_SECONDS
        if current is None or fresh or age >= _STALE_SECONDS:
            number = await self._shared(spec, lambda: self._look_up(spec))
        else:
            number = current.version
            if age >= _FRESH_SECONDS:
                self._in_background(spec)
        return await self.version(spec.name, number)

    def _learn(self, spec: ModelSpec, number: int) -> None:
        """An answer named its version: that is what the spec stands for now."""
        if spec.version is None:
            self._current[spec] = _Current(number, self._clock())

    async def _look_up(self, spec: ModelSpec) -> int:
        metadata = await self._server.metadata(spec, timeout_seconds=_LOOKUP_SECONDS)
        self._learn(spec, metadata.version)
        return metadata.version

    async def _load(self, name: str, number: int) -> ModelVersion:
        spec = ModelSpec(name, version=number)
        metadata = await self._server.metadata(spec, timeout_seconds=_LOOKUP_SECONDS)
        card = None
        if signatures.MODEL_CARD in metadata.signatures:
            card = await self._read_card(spec)
            signature = exported_signature(card, as_strings=self._server.prefers_strings)
        else:
            signature = foreign_signature(name, metadata, self._settings.get(name))
        loaded = self._versions[name, number] = ModelVersion(name, number, signature, card)
        if len(self._versions) > _MAX_VERSIONS:
            self._versions.popitem(last=False)
        return loaded

    async def _read_card(self, spec: ModelSpec) -> ModelCard:
        rows = (ENCODERS[self._server.row_encoding](_QUERY),)
        answer = await CARD_QUESTION.ask(self._server, spec, rows, timeout_seconds=_LOOKUP_SECONDS)
        try:
            return ModelCard.model_validate_json(answer.outputs[signatures.CARD][0])
        except (ValidationError, KeyError, IndexError, TypeError) as error:
            raise ModelServerError(f"the model card of {spec} cannot be read") from error

    async def _shared(self, key: object, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """One lookup for everybody who needs it; a waiter that gives up does not end it."""
        task = self._lookups.get(key)
        if task is None:
            task = asyncio.create_task(work())
            self._lookups[key] = task
            task.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(task)

    def _in_background(self, spec: ModelSpec) -> None:
        if spec not in self._lookups:
            task = asyncio.create_task(self._look_up(spec))
            self._lookups[spec] = task
            task.add_done_callback(lambda done: self._finish(spec, done))

    def _finish(self, key: object, task: asyncio.Task[Any]) -> None:
        """Nobody may await it any more: its failure is then found again by the next request."""
        self._lookups.pop(key, None)
        if not task.cancelled():
            task.exception()
