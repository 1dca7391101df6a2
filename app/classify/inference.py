"""One image file through one version: what is computed, before anybody's wishes are applied to it.

    resolve version ─► decode for its image spec ─► batcher ─► check who answered ─► outcome
    ▲                                                          │
    └── nobody serves it any more, who did is gone, or refuses ┘

An outcome holds all classes that the version answers, so that requests which want different numbers
of them can share it. Whoever gives outcomes is a `Source`; sources stand one before the other:

    cache ─► sharing ─► shadow ─► inference
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from app import tracing
from app.classify.answers import ClassPrediction, ImageInfo
from app.classify.batcher import Batched, Batcher
from app.classify.catalog import Catalog
from app.classify.decoder import Decoder
from app.classify.image_signature import ImageSignature
from app.classify.lanes import Lane, LaneAnswer, LaneRow, MovedError
from app.classify.versions import ModelVersion
from app.decode.job import Decoded
from app.errors import (
    ModelNotReadyError,
    ModelServerUnavailableError,
    RefusedByModelServerError,
)
from app.model_server.pool import ModelServerPool
from protocol.models import ModelSpec

_ATTEMPTS: Final = 8
"""Each is lost to a swap only, or to an address that is gone: versions change in seconds."""
_MAX_REFUSALS: Final = 2
"""A version may be replaced and come back before it is known who refused."""
_MAX_FAILURES: Final = 3
"""So many addresses may be found gone by one image: what kills model servers must not go round."""

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


@dataclass(frozen=True, slots=True, eq=False)
class _Rendered:
    """An image decoded for a signature."""

    decoded: Decoded
    signature: ImageSignature


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

    def __init__(
        self,
        server: ModelServerPool,
        catalog: Catalog,
        decoder: Decoder,
        batcher: RowBatcher,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._server = server
        self._catalog = catalog
        self._decoder = decoder
        self._batcher = batcher
        self._clock = clock

    async def outcome(self, photo: Photo) -> Outcome:
        """See `Source.outcome`."""
        return await self._infer(photo, None)

    async def again(self, photo: Photo, other: Outcome) -> Outcome | None:
        """What another version says about an image that was answered already.

        None if it is the same version. The file is decoded anew only if this one's input differs.

        Raises:
            GatewayError: one of its subclasses.
        """
        model = await self._catalog.resolve(photo.spec)
        if model.version == other.model.version:
            return None
        image = other.image
        row = Decoded(other.row, image.format, image.width, image.height, 0.0)
        return await self._infer(photo, _Rendered(row, other.model.signature))

    async def _infer(self, photo: Photo, rendered: _Rendered | None) -> Outcome:
        """Ask until an address answers that still serves the version the image was decoded for."""
        failures = refusals = 0
        for _ in range(_ATTEMPTS):
            try:
                model = await self._catalog.resolve(photo.spec)
                if rendered is None or not model.signature.takes_rows_of(rendered.signature):
                    rendered = _Rendered(await self._decode(photo, model), model.signature)
                return await self._ask(photo, model, rendered.decoded)
            except MovedError:
                continue
            except RefusedByModelServerError:
                refusals += 1
                if refusals >= _MAX_REFUSALS or photo.is_mirrored or not self._server.may_retry():
                    raise
            except ModelServerUnavailableError:
                failures += 1
                if photo.is_mirrored or not await self._may_retry(photo, failures):
                    raise
        raise ModelNotReadyError("the model kept changing while the request was in progress")

    async def _decode(self, photo: Photo, model: ModelVersion) -> Decoded:
        with tracing.span("decode"):
            return await self._decoder.decode(
                photo.data, model.signature, deadline=photo.deadline, client=photo.client
            )

    async def _ask(self, photo: Photo, model: ModelVersion, decoded: Decoded) -> Outcome:
        trace = tracing.current()
        row = LaneRow(decoded.row, trace, is_mirrored=photo.is_mirrored)
        batched = await self._batcher.submit(Lane(photo.spec, model), row, deadline=photo.deadline)
        if trace is not None:
            trace.batched(batched.queue_seconds, batched.run_seconds, batched.answer.call)
        outcome = _outcome(decoded, batched)
        self._catalog.note_answer(photo.spec, outcome.model)
        return outcome

    async def _may_retry(self, photo: Photo, failures: int) -> bool:
        """Whether there is somebody else to ask; the first time the same one will do."""
        if failures >= _MAX_FAILURES:
            return False
        has_another = await self._server.another(photo.deadline - self._clock())
        return (has_another or failures == 1) and self._server.may_retry()


def _outcome(decoded: Decoded, batched: Batched[LaneAnswer]) -> Outcome:
    answer = batched.answer
    return Outcome(
        model=answer.model,
        predictions=answer.model.signature.reader.read(answer.prediction.outputs, answer.index),
        image=ImageInfo(decoded.format, decoded.width, decoded.height),
        row=decoded.row,
        decode_seconds=decoded.seconds,
        queue_seconds=batched.queue_seconds,
        run_seconds=batched.run_seconds,
        batch_size=batched.batch_size,
        warnings=decoded.warnings,
    )
