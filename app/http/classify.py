"""POST /classify and /classify/batch: HTTP around the classifier, nothing else."""

from __future__ import annotations

import asyncio
import time
from dataclasses import fields
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from app.classify.answers import Answered, Classification
from app.errors import GatewayError, RequestError, let_go_of_frames
from app.http.bodies import IMAGES, ONE_IMAGE
from app.http.departure import ClientGoneError
from app.http.dependencies import DeadlineDep, QueryDep, departure_of, record_of, services_of
from app.http.in_time import abandoned, in_time
from app.http.problems import problem_body
from app.http.record import RequestRecord
from app.http.schemas import BatchAnswer, ClassifyAnswer
from app.http.services import Services
from app.http.strict import StrictRoute
from app.http.uploads import Upload, read_image, read_images

router = APIRouter(tags=["classify"], route_class=StrictRoute)


@router.post("/classify", response_model=ClassifyAnswer, openapi_extra=ONE_IMAGE)
async def classify(request: Request, query: QueryDep, deadline: DeadlineDep) -> Response:
    """Classify one image: multipart field `file`, the raw bytes as the body, or base64 in JSON."""
    services, record = services_of(request), record_of(request)
    try:
        with (
            services.admission.enter(record.client) as place,
            services.buffers.hold(record.client) as holding,
        ):
            reading = read_image(request, holding, max_bytes=services.settings.max_body_bytes)
            upload = await in_time(reading, deadline)
            place.arrived()
            record.facts.update(image_bytes=len(upload.data), model=query.spec.name)
            with departure_of(request).ends_work():
                answered = await services.classifier.classify(
                    upload.data,
                    query,
                    started_at=record.started_at,
                    deadline=deadline,
                    client=record.client,
                )
            return _answer(record, answered)
    except ClientGoneError:
        return abandoned(record)


def _answer(record: RequestRecord, answered: Answered) -> Response:
    """The answer of one image, which the log line and a header repeat in part."""
    answer, timing = answered.classification, answered.classification.timing_ms
    record.facts["version"] = answer.model.version
    record.note_best(answered.best)
    record.warn(answered.warnings)
    if answered.version_label is not None:
        record.facts["version_label"] = answered.version_label
    stages = [(stage.name, getattr(timing, stage.name)) for stage in fields(timing)]
    record.server_timing = ", ".join(f"{stage};dur={value}" for stage, value in stages)
    response = _json({"request_id": record.request_id, **_members(answer)})
    if answered.age_seconds is None:
        record.facts.update(
            batch_size=answered.batch_size,
            decode_ms=timing.decode,
            queue_ms=timing.queue,
            inference_ms=timing.inference,
        )
    else:
        record.facts["cache"] = "hit"
        response.headers["Cache-Status"] = "sightserve; hit"  # RFC 9211
        response.headers["Age"] = str(int(answered.age_seconds))
    return response


@router.post("/classify/batch", response_model=BatchAnswer, openapi_extra=IMAGES)
async def classify_batch(request: Request, query: QueryDep, deadline: DeadlineDep) -> Response:
    """Classify several images (field `files`, or JSON): a result or a problem for each."""
    services, record = services_of(request), record_of(request)
    settings = services.settings
    try:
        with (
            services.admission.enter(record.client) as place,
            services.buffers.hold(record.client) as holding,
        ):
            reading = read_images(
                request,
                holding,
                max_bytes=settings.max_batch_body_bytes,
                max_files=settings.max_batch_files,
            )
            uploads = await in_time(reading, deadline)
            place.arrived()
            image_bytes = sum(len(upload.data) for upload in uploads)
            record.facts.update(image_bytes=image_bytes, model=query.spec.name)
            record.charge(len(uploads) - 1)
            with (
                services.admission.widen(record.client, len(uploads) - 1) as further,
                departure_of(request).ends_work(),
            ):
                items = await _each(services, record, uploads, query, deadline, width=1 + further)
    except ClientGoneError:
        return abandoned(record)
    record.facts.update(files=len(items), failed=sum("problem" in item for item in items))
    total_ms = round(1000 * (time.monotonic() - record.started_at), 3)
    return _json(
        {"request_id": record.request_id, "results": items, "timing_ms": {"total": total_ms}}
    )


async def _each(
    services: Services,
    record: RequestRecord,
    uploads: list[Upload],
    query: QueryDep,
    deadline: float,
    *,
    width: int,
) -> list[dict[str, Any]]:
    """Every file's item, in order; `width` of them are in progress at a time."""
    waiting = iter(enumerate(uploads))
    items: dict[int, dict[str, Any]] = {}

    async def work() -> None:
        for number, upload in waiting:
            items[number] = await _one(services, record, upload, query, deadline)

    await asyncio.gather(*(work() for _ in range(width)))
    return [items[number] for number in range(len(uploads))]


async def _one(
    services: Services, record: RequestRecord, upload: Upload, query: QueryDep, deadline: float
) -> dict[str, Any]:
    """One file's item of the batch answer."""
    try:
        if not upload.data:
            raise RequestError("the image is empty: zero bytes arrived")
        answered = await services.classifier.classify(
            upload.data,
            query,
            started_at=time.monotonic(),
            deadline=deadline,
            client=record.client,
        )
    except GatewayError as error:
        record.warn(error.warnings)
        services.metrics.http.refused(error.refusal)
        let_go_of_frames(error)
        problem = problem_body(error)
        services.outcomes.note(problem, request_id=record.request_id, is_of_image=True)
        return {"file": upload.name, "problem": problem}
    record.warn(answered.warnings)
    return {"file": upload.name, **_members(answered.classification)}


def _members(answer: Classification) -> dict[str, Any]:
    """The answer's members by name, as JSON names them."""
    return {member.name: getattr(answer, member.name) for member in fields(answer)}


def _json(body: dict[str, Any]) -> Response:
    return Response(to_json(body), media_type="application/json")
