"""The use case: one image file in, predictions of one version out. It knows no HTTP.

resolve version ─► decode for its image spec ─► batcher ─► check who answered ─► predictions
▲                                                          │
└── another version, other image spec: once more ──────────┘
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.batcher import Answered, Batcher, BatcherObserver
from app.errors import (
    DeadlineExceededError,
    InvalidParameterError,
    ModelError,
    ModelNotFoundError,
    ModelNotReadyError,
    ModelVersionNotFoundError,
    RefusedByModelServerError,
)
from app.model_server.base import Input, ModelServer, Prediction, Servable
from app.predictions import ClassPrediction

if TYPE_CHECKING:
    from app.catalog import Catalog, ModelVersion
    from app.decoder import DecodedRow, Decoder

DEFAULT_TOP_K: Final = 5
_ATTEMPTS: Final = 3
"""One for the first guess, one after a swap, one for addresses that are swapped one by one."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked about an image."""

    servable: Servable
    top_k: int | None = None
    """None: 5, or all if the model gives fewer."""
    min_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class Classification:
    """The answer, and what it took."""

    model_name: str
    version: int
    predictions: Sequence[ClassPrediction]
    image_format: str
    width: int
    height: int
    decode_seconds: float
    queue_seconds: float
    inference_seconds: float
    batch_size: int


@dataclass(frozen=True, slots=True)
class Lane:
    """Images that may share a call: same servable asked for, same version expected."""

    servable: Servable
    expected_version: int


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a batch's answer."""

    prediction: Prediction
    index: int


class Classifier:
    """Classifies images with the models of one model server."""

    def __init__(
        self,
        server: ModelServer,
        catalog: Catalog,
        decoder: Decoder,
        *,
        max_batch_size: int,
        slots: Callable[[], int],
        clock: Callable[[], float],
        observer: BatcherObserver,
    ) -> None:
        self._server = server
        self._catalog = catalog
        self._decoder = decoder
        self._clock = clock
        self._batcher: Batcher[Lane, tuple[ModelVersion, bytes], _Row] = Batcher(
            self._run_batch,
            max_batch_size=max_batch_size,
            slots=slots,
            clock=clock,
            observer=observer,
        )

    async def classify(self, data: bytes, query: Query, *, deadline: float) -> Classification:
        """Classify one image file before the deadline (on the clock given at construction).

        Raises:
            GatewayError: one of its subclasses, every time.
        """
        try:
            async with asyncio.timeout(deadline - self._clock()):
                return await self._classify(data, query, deadline)
        except TimeoutError as error:
            raise DeadlineExceededError("the request's deadline passed") from error

    async def aclose(self) -> None:
        """Cancel what is in flight."""
        await self._batcher.aclose()

    async def _classify(self, data: bytes, query: Query, deadline: float) -> Classification:
        servable = query.servable
        model = await self._resolve(servable, fresh=False)
        decoded: DecodedRow | None = None
        for attempt in range(1, _ATTEMPTS + 1):
            is_last = attempt == _ATTEMPTS
            _check_top_k(query, model)
            if decoded is None:
                decoded = await self._decoder.decode(data, model.interface, deadline=deadline)
            try:
                answered = await self._submit(servable, model, decoded.row, deadline)
            except (ModelError, RefusedByModelServerError) as error:
                after = await self._after_refusal(error, servable, model, is_last=is_last)
            else:
                after = await self._who_answered(servable, model, answered)
                if after.interface.image == model.interface.image:
                    return _classification(query, after, decoded, answered)
            if after.interface is not model.interface:
                decoded = None
            model = after
        raise ModelNotReadyError("the model kept changing while the request was in progress")

    async def _resolve(self, servable: Servable, *, fresh: bool) -> ModelVersion:
        try:
            return await self._catalog.resolve(servable, fresh=fresh)
        except (ModelNotFoundError, ModelVersionNotFoundError) as error:
            if not fresh and self._catalog.forget(servable):  # gone since we last asked
                return await self._resolve(servable, fresh=True)
            raise await self._catalog.explain(error, servable) from error

    async def _submit(
        self, servable: Servable, model: ModelVersion, row: bytes, deadline: float
    ) -> Answered[_Row]:
        asked = servable if self._server.reports_version else Servable(model.name, model.version)
        lane = Lane(asked, model.version)
        return await self._batcher.submit(lane, (model, row), deadline=deadline)

    async def _who_answered(
        self, servable: Servable, model: ModelVersion, answered: Answered[_Row]
    ) -> ModelVersion:
        version = answered.answer.prediction.version
        if self._server.reports_version:
            self._catalog.learn(servable, version)
        return (
            model if version == model.version else await self._catalog.version(model.name, version)
        )

    async def _after_refusal(
        self, error: Exception, servable: Servable, model: ModelVersion, *, is_last: bool
    ) -> ModelVersion:
        """A refusal right after a swap is cured by asking again: for the version served now."""
        if not is_last and servable.version is None:
            now = await self._resolve(servable, fresh=True)
            if now.version != model.version:
                return now
        if isinstance(error, ModelError):
            raise await self._catalog.explain(error, servable) from error
        raise error

    async def _run_batch(
        self, lane: Lane, items: Sequence[tuple[ModelVersion, bytes]], timeout_seconds: float
    ) -> Sequence[_Row]:
        interface = items[0][0].interface
        tensor = Input(
            name=interface.input_name,
            dtype=interface.dtype,
            row_shape=interface.row_shape,
            rows=[row for _, row in items],
        )
        prediction = await self._server.predict(
            lane.servable,
            interface.signature,
            tensor,
            outputs=interface.reader.outputs,
            timeout_seconds=timeout_seconds,
        )
        return [_Row(prediction, index) for index in range(len(items))]


def _check_top_k(query: Query, model: ModelVersion) -> None:
    if query.top_k is not None and query.top_k > model.interface.k:
        raise InvalidParameterError(
            "top_k", f"must be between 1 and {model.interface.k} for model {model.name}"
        )


def _classification(
    query: Query, model: ModelVersion, decoded: DecodedRow, answered: Answered[_Row]
) -> Classification:
    row = answered.answer
    found = model.interface.reader.read(row.prediction.outputs, row.index)
    best = found[: query.top_k or DEFAULT_TOP_K]
    return Classification(
        model_name=model.name,
        version=model.version,
        predictions=[each for each in best if each.probability >= query.min_probability],
        image_format=decoded.format,
        width=decoded.width,
        height=decoded.height,
        decode_seconds=decoded.seconds,
        queue_seconds=answered.queue_seconds,
        inference_seconds=answered.run_seconds,
        batch_size=answered.batch_size,
    )
