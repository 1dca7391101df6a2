"""The use case: one image file in, predictions of one version out. It knows no HTTP.

resolve version ─► decode for its image spec ─► batcher ─► check who answered ─► predictions
▲                                                          │
└── another version, other image spec: once more ──────────┘
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from app.classify.answers import Answered, Classification, ImageInfo, ModelRef, Timing
from app.classify.batcher import Batched, Batcher
from app.classify.catalog import Catalog, ModelVersion
from app.classify.decoder import DecodedRow, Decoder
from app.classify.image_signature import Lane
from app.errors import (
    DeadlineExceededError,
    InvalidParameterError,
    ModelError,
    ModelNotReadyError,
    RefusedByModelServerError,
)
from protocol.client import Prediction
from protocol.models import ModelSpec

DEFAULT_TOP_K: Final = 5
_ATTEMPTS: Final = 3
"""One for the first guess, one after a swap, one for addresses that are swapped one by one."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked about an image."""

    spec: ModelSpec
    top_k: int | None = None
    """None: 5, or all if the model gives fewer."""
    min_probability: float = 0.0


class Classifier:
    """Classifies images with the models of one model server."""

    def __init__(
        self,
        catalog: Catalog,
        decoder: Decoder,
        batcher: Batcher[Lane, bytes, tuple[Prediction, int]],
        *,
        clock: Callable[[], float],
        on_answer: Callable[[Classification], None],
    ) -> None:
        """Create it.

        Args:
            catalog: knows the versions.
            decoder: makes rows of files.
            batcher: asks for rows of a lane.
            clock: monotonic seconds, as all deadlines here.
            on_answer: told each answer.
        """
        self._catalog = catalog
        self._decoder = decoder
        self._batcher = batcher
        self._clock = clock
        self._on_answer = on_answer

    async def classify(
        self, data: bytes, query: Query, *, started_at: float, deadline: float
    ) -> Answered:
        """Classify one image file before the deadline.

        Raises:
            GatewayError: one of its subclasses, every time.
        """
        try:
            async with asyncio.timeout(deadline - self._clock()):
                return await self._classify(data, query, started_at, deadline)
        except TimeoutError as error:
            raise DeadlineExceededError("the request's deadline passed") from error

    async def aclose(self) -> None:
        """Cancel what is in flight."""
        await self._batcher.aclose()

    async def _classify(
        self, data: bytes, query: Query, started_at: float, deadline: float
    ) -> Answered:
        model = await self._catalog.resolve(query.spec)
        decoded: DecodedRow | None = None
        for attempt in range(1, _ATTEMPTS + 1):
            if query.top_k is not None and query.top_k > model.signature.k:
                raise InvalidParameterError(
                    "top_k", f"must be between 1 and {model.signature.k} for model {model.name}"
                )
            if decoded is None:
                decoded = await self._decoder.decode(data, model.signature, deadline=deadline)
            lane = Lane(self._catalog.asked(query.spec, model), model.version, model.signature)
            try:
                batched = await self._batcher.submit(lane, decoded.row, deadline=deadline)
            except (ModelError, RefusedByModelServerError) as error:
                is_last = attempt == _ATTEMPTS
                after = await self._after_refusal(error, query.spec, model, is_last=is_last)
            else:
                prediction, index = batched.answer
                after = await self._catalog.answered(query.spec, model, prediction.version)
                if after.signature.image == model.signature.image:
                    found = after.signature.reader.read(prediction.outputs, index)
                    self._catalog.note_answer(query.spec, after)
                    best = found[: query.top_k or DEFAULT_TOP_K]
                    total_seconds = self._clock() - started_at
                    classification = Classification(
                        ModelRef(after.name, after.version),
                        [each for each in best if each.probability >= query.min_probability],
                        ImageInfo(decoded.format, decoded.width, decoded.height),
                        _timing(decoded, batched, total_seconds),
                    )
                    self._on_answer(classification)
                    return Answered(classification, batched.batch_size)
            if after.signature is not model.signature:
                decoded = None
            model = after
        raise ModelNotReadyError("the model kept changing while the request was in progress")

    async def _after_refusal(
        self, error: Exception, spec: ModelSpec, model: ModelVersion, *, is_last: bool
    ) -> ModelVersion:
        """A refusal right after a swap is cured by asking again: for the version served now."""
        if not is_last and spec.version is None:
            now = await self._catalog.resolve(spec, fresh=True)
            if now.version != model.version:
                return now
        if isinstance(error, ModelError):
            raise await self._catalog.explain(error, spec) from error
        raise error


def _timing(decoded: DecodedRow, batched: Batched[Any], total_seconds: float) -> Timing:
    return Timing(
        decode=round(1000 * decoded.seconds, 3),
        queue=round(1000 * batched.queue_seconds, 3),
        inference=round(1000 * batched.run_seconds, 3),
        total=round(1000 * total_seconds, 3),
    )
