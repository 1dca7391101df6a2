"""One image file through one version: what is computed, before anybody's wishes are applied to it.

    resolve version ─► decode for its image spec ─► batcher ─► check who answered ─► outcome
    ▲                                                          │
    └── another version, other image spec: once more ──────────┘

An outcome holds all classes that the version answers, so that requests which want different numbers
of them can share it. Whoever gives outcomes is a `Source`; sources stand one before the other:

    cache ─► sharing ─► shadow ─► inference
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app import tracing
from app.classify.answers import ClassPrediction, ImageInfo
from app.classify.batcher import Batched, Batcher
from app.classify.catalog import Catalog, ModelVersion
from app.classify.decoder import Decoder
from app.classify.image_signature import Lane, LaneAnswer, LaneRow
from app.decode.job import Decoded
from app.errors import ModelError, ModelNotReadyError, RefusedByModelServerError
from protocol.models import ModelSpec

_ATTEMPTS: Final = 3
"""One for the first guess, one after a swap, one for addresses that are swapped one by one."""

RowBatcher = Batcher[Lane, LaneRow, LaneAnswer]


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """One image file and the version that is asked about it."""

    data: bytes
    spec: ModelSpec
    deadline: float
    """On the gateway's clock."""
    client: str = ""
    """Whose fair share it takes."""
    is_mirrored: bool = False
    """Nobody waits for the answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a version says about an image."""

    model: ModelVersion
    """The version that computed it."""
    predictions: Sequence[ClassPrediction]
    """As many as the version answers, most probable first."""
    image: ImageInfo
    row: bytes
    """What the version was given; empty where it is not kept."""
    decode_seconds: float
    queue_seconds: float
    run_seconds: float
    batch_size: int
    warnings: tuple[str, ...] = ()
    """What the image library had to say."""
    age_seconds: float | None = None
    """How long it has been kept; None: it was computed for this request."""


class Source(Protocol):
    """Gives outcomes."""

    async def outcome(self, photo: Photo) -> Outcome:
        """What the version says about the image; whoever calls gives up at the deadline by itself.

        Raises:
            GatewayError: one of its subclasses.
        """
        ...


class Inference:
    """The source that computes."""

    def __init__(self, catalog: Catalog, decoder: Decoder, batcher: RowBatcher) -> None:
        self._catalog = catalog
        self._decoder = decoder
        self._batcher = batcher

    async def outcome(self, photo: Photo) -> Outcome:
        """See `Source.outcome`."""
        return await self._infer(photo, await self._catalog.resolve(photo.spec), None)

    async def again(self, photo: Photo, other: Outcome) -> Outcome | None:
        """What another version says about an image that was answered already.

        None if it is the same version. The file is decoded anew only if this one's input differs.

        Raises:
            GatewayError: one of its subclasses.
        """
        model = await self._catalog.resolve(photo.spec)
        if model.version == other.model.version:
            return None
        decoded = None
        if model.signature.takes_rows_of(other.model.signature):
            image = other.image
            decoded = Decoded(other.row, image.format, image.width, image.height, 0.0)
        return await self._infer(photo, model, decoded)

    async def _infer(self, photo: Photo, model: ModelVersion, decoded: Decoded | None) -> Outcome:
        trace = tracing.current()
        for attempt in range(1, _ATTEMPTS + 1):
            if decoded is None:
                with tracing.span("decode"):
                    decoded = await self._decoder.decode(
                        photo.data, model.signature, deadline=photo.deadline, client=photo.client
                    )
            lane = Lane(self._catalog.asked(photo.spec, model), model.version, model.signature)
            row = LaneRow(decoded.row, trace, is_mirrored=photo.is_mirrored)
            try:
                batched = await self._batcher.submit(lane, row, deadline=photo.deadline)
            except (ModelError, RefusedByModelServerError) as error:
                is_last = attempt == _ATTEMPTS
                after = await self._after_refusal(error, photo.spec, model, is_last=is_last)
            else:
                if trace is not None:
                    trace.batched(batched.queue_seconds, batched.run_seconds, batched.answer.call)
                answered = batched.answer.prediction.version
                after = await self._catalog.answered(photo.spec, model, answered)
                if after.signature.image == model.signature.image:
                    outcome = _outcome(after, decoded, batched)
                    self._catalog.note_answer(photo.spec, after)
                    return outcome
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


def _outcome(model: ModelVersion, decoded: Decoded, batched: Batched[LaneAnswer]) -> Outcome:
    answer = batched.answer
    return Outcome(
        model=model,
        predictions=model.signature.reader.read(answer.prediction.outputs, answer.index),
        image=ImageInfo(decoded.format, decoded.width, decoded.height),
        row=decoded.row,
        decode_seconds=decoded.seconds,
        queue_seconds=batched.queue_seconds,
        run_seconds=batched.run_seconds,
        batch_size=batched.batch_size,
        warnings=decoded.warnings,
    )
