"""POST /classify and /classify/batch: HTTP around the classifier, nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from app.classifier import Classification
from app.dependencies import DeadlineDep, QueryDep, record_of, services_of
from app.errors import GatewayError, RequestError
from app.middleware import RequestRecord
from app.problems import problem_body
from app.schemas import BatchAnswer, ClassifyAnswer
from app.services import Services
from app.uploads import ClientGoneError, Upload, read_image, read_images

router = APIRouter(tags=["classify"])

_T = TypeVar("_T")

_CLIENT_CLOSED_REQUEST: Final = 499
"""nginx's number for it; nobody receives it, the log and the metrics do."""

_IMAGE: Final = {"type": "string", "format": "binary"}
_ONE_IMAGE: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": _IMAGE},
                }
            },
            "image/*": {"schema": _IMAGE},
            "application/octet-stream": {"schema": _IMAGE},
        },
    }
}
_IMAGES: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": _IMAGE}},
                }
            }
        },
    }
}


@router.post("/classify", response_model=ClassifyAnswer, openapi_extra=_ONE_IMAGE)
async def classify(request: Request, query: QueryDep, deadline: DeadlineDep) -> Response:
    """Classify one image: multipart field `file`, or the raw bytes as the body."""
    services, record = services_of(request), record_of(request)
    limit = services.settings.max_body_bytes
    try:
        with services.admission.enter() as reservation:
            upload = await _in_time(read_image(request, reservation, max_bytes=limit), deadline)
            record.facts["image_bytes"] = len(upload.data)
            record.facts["model"] = query.servable.name
            answer = await _unless_abandoned(
                request, services.classifier.classify(upload.data, query, deadline=deadline)
            )
    except ClientGoneError:
        return _abandoned(record)
    total_seconds = time.monotonic() - record.started_at
    _observe(services, query, answer, total_seconds)
    timing = _timing(answer, total_seconds)
    record.facts.update(version=answer.version, batch_size=answer.batch_size, **_log_times(timing))
    record.server_timing = ", ".join(f"{stage};dur={value}" for stage, value in timing.items())
    body = {"request_id": record.request_id, **_result(answer, timing)}
    return Response(to_json(body), media_type="application/json")


@router.post("/classify/batch", response_model=BatchAnswer, openapi_extra=_IMAGES)
async def classify_batch(request: Request, query: QueryDep, deadline: DeadlineDep) -> Response:
    """Classify several images (multipart field `files`, repeated): a result or a problem each."""
    services, record = services_of(request), record_of(request)
    settings = services.settings
    try:
        with services.admission.enter() as reservation:
            reading = read_images(
                request,
                reservation,
                max_bytes=settings.max_batch_body_bytes,
                max_files=settings.max_batch_files,
            )
            uploads = await _in_time(reading, deadline)
            record.facts["image_bytes"] = sum(len(upload.data) for upload in uploads)
            record.facts["model"] = query.servable.name
            with services.admission.images_in_progress(len(uploads) - 1):
                work = asyncio.gather(
                    *(_one(services, upload, query, deadline) for upload in uploads)
                )
                items = await _unless_abandoned(request, work)
    except ClientGoneError:
        return _abandoned(record)
    record.facts.update(files=len(items), failed=sum("problem" in item for item in items))
    total_ms = round(1000 * (time.monotonic() - record.started_at), 3)
    body = {"request_id": record.request_id, "results": items, "timing_ms": {"total": total_ms}}
    return Response(to_json(body), media_type="application/json")


async def _one(
    services: Services, upload: Upload, query: QueryDep, deadline: float
) -> dict[str, Any]:
    """One file's item of the batch answer."""
    started_at = time.monotonic()
    try:
        if not upload.data:
            raise RequestError("the image is empty: zero bytes arrived")
        answer = await services.classifier.classify(upload.data, query, deadline=deadline)
    except GatewayError as error:
        return {"file": upload.name, "problem": problem_body(error)}
    total_seconds = time.monotonic() - started_at
    _observe(services, query, answer, total_seconds)
    return {"file": upload.name, **_result(answer, _timing(answer, total_seconds))}


async def _in_time(reading: Coroutine[Any, Any, _T], deadline: float) -> _T:
    """A body that trickles in must not hold its place beyond the deadline."""
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            return await reading
    except TimeoutError as error:
        raise RequestError("the body did not arrive within the deadline") from error


async def _unless_abandoned(
    request: Request, work: Coroutine[Any, Any, _T] | asyncio.Future[_T]
) -> _T:
    """Run the work, but stop when the client closes the connection: nobody would read it."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and watch.result()["type"] == "http.disconnect":
            raise ClientGoneError
        return await task
    finally:
        watch.cancel()
        if not task.done():
            task.cancel()


def _abandoned(record: RequestRecord) -> Response:
    record.is_abandoned = True
    return Response(status_code=_CLIENT_CLOSED_REQUEST)


def _observe(
    services: Services, query: QueryDep, answer: Classification, total_seconds: float
) -> None:
    if query.servable.version is None and query.servable.label is None:
        services.readiness.note_answer(answer.model_name, answer.version)
    stages = {
        "decode": answer.decode_seconds,
        "queue": answer.queue_seconds,
        "inference": answer.inference_seconds,
        "total": total_seconds,
    }
    version = str(answer.version)
    services.metrics.image_done(answer.model_name, version, stages)
    services.latencies.record(answer.model_name, version, stages)


def _timing(answer: Classification, total_seconds: float) -> dict[str, float]:
    return {
        "decode": round(1000 * answer.decode_seconds, 3),
        "queue": round(1000 * answer.queue_seconds, 3),
        "inference": round(1000 * answer.inference_seconds, 3),
        "total": round(1000 * total_seconds, 3),
    }


def _log_times(timing: dict[str, float]) -> dict[str, float]:
    return {f"{stage}_ms": value for stage, value in timing.items() if stage != "total"}


def _result(answer: Classification, timing: dict[str, float]) -> dict[str, Any]:
    return {
        "model": {"name": answer.model_name, "version": answer.version},
        "predictions": [
            {
                "class_index": each.class_index,
                "label": each.label,
                "id": each.id,
                "probability": each.probability,
            }
            for each in answer.predictions
        ],
        "image": {
            "format": answer.image_format,
            "width": answer.width,
            "height": answer.height,
        },
        "timing_ms": timing,
    }
