"""POST …/infer: the images of one request through the classifier, all by one version or none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from fastapi import Request, Response

from app.classify.answers import Classification
from app.classify.classifier import Query
from app.errors import (
    GatewayError,
    RequestError,
    UnsupportedMediaTypeError,
    let_go_of_frames,
)
from app.http.buffers import Holding
from app.http.departure import ClientGoneError
from app.http.dependencies import departure_of, record_of, services_of
from app.http.in_time import abandoned, in_time
from app.http.open_inference.answer import infer_response
from app.http.open_inference.names import HEADER_LENGTH
from app.http.open_inference.request import Body, Limits
from app.http.open_inference.schemas import InferRequest
from app.http.record import RequestRecord
from app.http.services import Services
from app.http.uploads import chunks
from protocol.models import ModelSpec

_MICROS: Final = 1e6


@dataclass(frozen=True, slots=True)
class Work:
    """The images of one request, and what all of them are asked."""

    services: Services
    record: RequestRecord
    images: Sequence[bytes]
    query: Query
    deadline: float


async def infer(
    request: Request, spec: ModelSpec, sticky_key: str | None, deadline: float
) -> Response:
    """Answer one request; every error is a GatewayError, of the whole request."""
    services, record = services_of(request), record_of(request)
    try:
        with (
            services.admission.enter(record.client) as place,
            services.buffers.hold(record.client) as holding,
        ):
            asked, images = await in_time(_read(request, holding, services), deadline)
            place.arrived()
            if (micros := asked.parameters.timeout) is not None:
                deadline = min(deadline, record.started_at + micros / _MICROS)
            if sticky_key is None and len(images) > 1:  # a split is to choose once
                sticky_key = record.request_id
            query = Query(spec, asked.parameters.top_k, -inf, sticky_key)
            work = Work(services, record, images, query, deadline)
            record.facts.update(
                image_bytes=sum(map(len, images)), model=spec.name, files=len(images)
            )
            record.charge(len(images) - 1)
            with (
                services.admission.widen(record.client, len(images) - 1) as further,
                departure_of(request).ends_work(),
            ):
                answers = await _of_one_version(work, width=1 + further)
    except ClientGoneError:
        return abandoned(record)
    record.facts["version"] = answers[0].model.version
    if len(answers) == 1:
        record.note_best(answers[0].predictions[0])
    return infer_response(asked, answers)


async def _read(
    request: Request, holding: Holding, services: Services
) -> tuple[InferRequest, list[bytes]]:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaTypeError("compressed bodies are not taken: images are compressed")
    max_bytes = services.settings.max_batch_body_bytes
    # JSON exists twice while it is parsed, and the two together must not be more than one body.
    limits = Limits(services.settings.max_batch_files, max_bytes // 2)
    body = Body(request.headers.get(HEADER_LENGTH), limits)
    async for chunk in chunks(request, holding, max_bytes):
        body.feed(chunk)
    if not body.is_json:
        return body.finish()
    holding.grow_to(2 * holding.bytes)
    asked, images = await asyncio.to_thread(body.finish)  # 7 ms for each megabyte of base64
    holding.grow_to(sum(map(len, images)))
    return asked, images


async def _of_one_version(work: Work, *, width: int) -> list[Classification]:
    """Every image's answer, in order; where versions changed meanwhile, all of the last one."""
    everything = range(len(work.images))
    answers = await _ask(work, everything, width)
    newest = next(reversed(answers.values())).model
    others = [number for number in everything if answers[number].model != newest]
    if others:
        spec = ModelSpec(newest.name, newest.version)
        pinned = replace(work, query=replace(work.query, spec=spec))
        answers |= await _ask(pinned, others, width)
    return [answers[number] for number in everything]


async def _ask(work: Work, numbers: Sequence[int], width: int) -> dict[int, Classification]:
    """Answers by image, in the order in which they came; `width` are in progress at a time.

    Raises:
        GatewayError: the first of an image; the others are let go then.
    """
    waiting = iter(numbers)
    answers: dict[int, Classification] = {}

    async def each() -> None:
        for number in waiting:
            answers[number] = await _one(work, number)

    tasks = [asyncio.create_task(each()) for _ in range(width)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, GatewayError):
                let_go_of_frames(ended)
    return answers


async def _one(work: Work, number: int) -> Classification:
    try:
        answered = await work.services.classifier.classify(
            work.images[number],
            work.query,
            started_at=time.monotonic(),
            deadline=work.deadline,
            client=work.record.client,
        )
    except RequestError as error:
        if len(work.images) > 1:
            error.detail = f"image {number}: {error.detail}"
        raise
    work.record.warn(answered.warnings)
    return answered.classification
