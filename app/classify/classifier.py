"""The use case: one image file in, predictions of one version out. It knows no HTTP.

The outcome comes from a source (see `inference`); here a request's own wishes are applied to it:
its deadline, how many classes, how probable at least.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from app.classify.answers import Answered, Classification, ModelRef, Timing
from app.classify.catalog import Catalog
from app.classify.inference import Outcome, Photo, Source
from app.classify.split import Split
from app.classify.versions import ModelVersion
from app.errors import DeadlineExceededError, InvalidParameterError
from protocol.models import ModelSpec

DEFAULT_TOP_K: Final = 5


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked about an image."""

    spec: ModelSpec
    top_k: int | None = None
    """None: 5, or all if the model gives fewer."""
    min_probability: float = 0.0
    sticky_key: str | None = None
    """Requests with the same one are answered by the same label, where traffic is split."""


class Classifier:
    """Classifies images with the models of one model server."""

    def __init__(
        self,
        catalog: Catalog,
        source: Source,
        split: Split | None,
        *,
        clock: Callable[[], float],
        on_answer: Callable[[Answered], None],
    ) -> None:
        """Create it.

        Args:
            catalog: knows the versions.
            source: gives outcomes.
            split: chooses a label where a request names none; None: the served version answers.
            clock: monotonic seconds, as all deadlines here.
            on_answer: told each answer.
        """
        self._catalog = catalog
        self._source = source
        self._split = split
        self._clock = clock
        self._on_answer = on_answer

    async def classify(
        self, data: bytes, query: Query, *, started_at: float, deadline: float, client: str = ""
    ) -> Answered:
        """Classify one image file before the deadline; `client` is whose fair share it takes.

        Raises:
            GatewayError: one of its subclasses, every time.
        """
        try:
            async with asyncio.timeout(deadline - self._clock()):
                photo = Photo(data, query.spec, deadline, client)
                asked, outcome = await self._ask(photo, query)
        except TimeoutError as error:
            raise DeadlineExceededError("the request's deadline passed") from error
        classification = _classification(outcome, query, self._clock() - started_at)
        answered = Answered(
            classification,
            outcome.batch_size,
            asked.version_label,
            outcome.age_seconds,
            outcome.warnings,
            outcome.predictions[0] if outcome.predictions else None,
        )
        self._on_answer(answered)
        return answered

    async def _ask(self, photo: Photo, query: Query) -> tuple[ModelSpec, Outcome]:
        """What was asked for in the end, and the outcome."""
        if self._split is None:
            return photo.spec, await self._outcome(photo, query.top_k)
        return await self._split.ask(
            photo.spec,
            query.sticky_key,
            lambda spec: self._outcome(replace(photo, spec=spec), query.top_k),
        )

    async def _outcome(self, photo: Photo, top_k: int | None) -> Outcome:
        """The outcome, if its version gives as many classes as are wanted."""
        if top_k is not None:  # before anything is decoded
            _check_top_k(top_k, await self._catalog.resolve(photo.spec))
        outcome = await self._source.outcome(photo)
        if top_k is not None:
            _check_top_k(top_k, outcome.model)
        return outcome


def _check_top_k(top_k: int, model: ModelVersion) -> None:
    if top_k > model.signature.k:
        raise InvalidParameterError(
            "top_k", f"must be between 1 and {model.signature.k} for model {model.name}"
        )


def _classification(outcome: Outcome, query: Query, total_seconds: float) -> Classification:
    best = outcome.predictions[: query.top_k or DEFAULT_TOP_K]
    return Classification(
        ModelRef(outcome.model.name, outcome.model.version),
        [each for each in best if each.probability >= query.min_probability],
        outcome.image,
        Timing(
            decode=round(1000 * outcome.decode_seconds, 3),
            queue=round(1000 * outcome.queue_seconds, 3),
            inference=round(1000 * outcome.run_seconds, 3),
            total=round(1000 * total_seconds, 3),
        ),
    )
