"""Batches of one version, sent to whichever address serves it and has the least to do.

lane (spec, version) ──batch──► an address that serves it ──► answers, and which version they are
                                   └─ it serves another one by now: MovedError
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app import tracing
from app.classify.catalog import Catalog
from app.classify.predictions import check_rows
from app.classify.versions import ModelVersion
from app.classify.view import Moment
from app.errors import ModelError, RefusedByModelServerError
from app.model_server.pool import ModelServerPool
from app.model_server.replica import Replica
from app.tracing import Call, Trace
from protocol.client import Prediction
from protocol.models import ModelSpec


class MovedError(Exception):
    """The address does not serve the lane's version any more, or nobody does."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Images that may share a call: for the same spec, decoded for the same version."""

    spec: ModelSpec
    model: ModelVersion


@dataclass(frozen=True, slots=True, eq=False)
class LaneRow:
    """One image's row, and the trace of the request it came with."""

    row: bytes
    trace: Trace | None
    is_mirrored: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LaneAnswer:
    """The prediction for a batch, the place in it of one row, and the call that it came from."""

    prediction: Prediction
    index: int
    model: ModelVersion
    """The version that computed it."""
    call: Call | None


class Lanes:
    """Asks the model servers about batches."""

    def __init__(self, server: ModelServerPool, catalog: Catalog) -> None:
        self._server = server
        self._catalog = catalog

    def slots(self, lane: Lane | None) -> int:
        """How many calls of the lane should be in flight at most; None: if everybody serves it."""
        return self._server.slots(None if lane is None else self._serving(lane))

    async def ask(
        self, lane: Lane, rows: Sequence[LaneRow], timeout_seconds: float
    ) -> list[LaneAnswer]:
        """Ask about a batch of one lane; an answer for each row.

        Raises:
            MovedError: the images are to be sent to another version, decoded anew.
            GatewayError: the call failed.
        """
        replicas = self._serving(lane)
        if not replicas:
            raise MovedError
        return await self._ask(
            self._server.pick(replicas, images=len(rows)), lane, rows, timeout_seconds
        )

    def _serving(self, lane: Lane) -> list[Replica]:
        return self._catalog.serving(lane.spec, lane.model)

    async def _ask(
        self, replica: Replica, lane: Lane, rows: Sequence[LaneRow], timeout_seconds: float
    ) -> list[LaneAnswer]:
        spec, model = lane.spec, lane.model
        attributes = {"model": model.name, "version": model.version, "batch_size": len(rows)}
        asked = self._catalog.moment(replica)
        with tracing.call((row.trace for row in rows), attributes) as call:
            try:
                prediction = await model.signature.question.ask(
                    replica,
                    self._catalog.asked(spec, model),
                    [row.row for row in rows],
                    timeout_seconds=timeout_seconds,
                    headers=() if call is None else call.headers,
                    is_telling=not all(row.is_mirrored for row in rows),
                )
            except ModelError as error:  # it is being unloaded
                await self._catalog.missed(replica, spec)
                raise MovedError from error
            except RefusedByModelServerError as error:
                if await self._catalog.has_moved(replica, spec, model):
                    raise MovedError from error
                raise
        answered = await self._answered(replica, lane, prediction, asked)
        check_rows(prediction.outputs, len(rows))
        return [LaneAnswer(prediction, index, answered, call) for index in range(len(rows))]

    async def _answered(
        self, replica: Replica, lane: Lane, prediction: Prediction, asked: Moment
    ) -> ModelVersion:
        """The version that answered, if it understood what it was given."""
        try:
            answered = await self._catalog.answered(
                replica, lane.spec, lane.model, number=prediction.version, asked=asked
            )
        except ModelError as error:
            raise MovedError from error
        asked_for, found = lane.model.signature, answered.signature
        if found.image != asked_for.image or found.question != asked_for.question:
            raise MovedError
        return answered
