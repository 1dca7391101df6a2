"""The composition root: settings in, a ready-made ASGI application out. Nothing global."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.classify.admission import Admission
from app.classify.batcher import Batcher
from app.classify.catalog import Catalog
from app.classify.classifier import Classifier
from app.classify.decoder import Decoder
from app.classify.image_signature import ask_lane
from app.classify.readiness import Readiness, Report
from app.errors import GatewayError
from app.http import classify, docs, health, models, page, problems, stats
from app.http.middleware import Observe
from app.http.schemas import Problem
from app.http.services import Services
from app.log import get_logger
from app.metrics import Metrics
from app.model_server.pool import ModelServerPool
from app.settings import Settings
from protocol.schemes import client_class

_PROBLEM: Final[dict[str, Any]] = {
    "description": "A problem",
    "content": {problems.MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
}


def create_app(settings: Settings) -> FastAPI:
    """Build a gateway; connections open in its lifespan."""
    clock = time.monotonic
    metrics = Metrics(clock)
    pool = ModelServerPool(
        settings.model_server_url,
        client_class(settings.model_server_url.scheme),
        calls_per_address=settings.max_in_flight_batches,
        observer=metrics,
        resolve_interval_seconds=settings.resolve_interval_seconds,
    )
    catalog = Catalog(pool, settings.models_file, clock=clock)
    decoder = Decoder(
        pool.encode_row,
        threads=settings.decode_threads,
        max_pixels=settings.max_image_pixels,
        clock=clock,
    )
    batcher = Batcher(
        partial(ask_lane, pool),
        max_batch_size=settings.max_batch_size,
        slots=pool.slots,
        clock=clock,
        on_batch=metrics.batch_size.observe,
    )
    classifier = Classifier(catalog, decoder, batcher, clock=clock, on_answer=metrics.image_done)
    admission = Admission(max_images=settings.max_queue, max_bytes=settings.max_buffered_bytes)
    metrics.watch(
        images=lambda: admission.images,
        queued=lambda: batcher.queued,
        in_flight=lambda: batcher.in_flight,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await pool.start()
        try:
            yield
        finally:
            await classifier.aclose()
            await catalog.aclose()
            await pool.aclose()
            decoder.close()

    app = _application(lifespan)
    app.state.services = Services(
        settings=settings,
        server=pool,
        catalog=catalog,
        classifier=classifier,
        admission=admission,
        readiness=Readiness(pool, catalog, settings.models, clock=clock, on_change=_log_readiness),
        metrics=metrics,
    )
    app.add_middleware(Observe, metrics=metrics, log=get_logger())
    return app


def _application(lifespan: Callable[[FastAPI], object]) -> FastAPI:
    app = FastAPI(
        title="Sightserve",
        description="Photos in, labels out. Every answer that is not 2xx is a problem (RFC 9457).",
        version=_version(),
        lifespan=lifespan,  # type: ignore[arg-type]  # FastAPI's alias is wider than its docs
        docs_url=None,  # Swagger's page loads scripts from a CDN; ours works offline
        redoc_url=None,
        redirect_slashes=False,  # a redirected upload is sent twice
        responses={"default": _PROBLEM, 422: _PROBLEM},  # 422: or FastAPI documents its own
    )
    for router in (classify.router, models.router, health.router, stats.router):
        app.include_router(router)
    app.include_router(page.page_router(page.PAGE.read_text(encoding="utf-8")))
    app.include_router(docs.router)
    app.add_exception_handler(GatewayError, problems.on_gateway_error)
    app.add_exception_handler(HTTPException, problems.on_http_exception)
    app.add_exception_handler(RequestValidationError, problems.on_validation_error)
    return app


def _log_readiness(report: Report) -> None:
    """One line when models start or stop answering or another version does; not one per probe."""
    versions = {model.name: model.version for model in report.models if model.is_ready}
    if report.is_ready:
        get_logger().info("ready", versions=versions)
    else:
        get_logger().warning("not ready", versions=versions, detail=report.detail)


def _version() -> str:
    try:
        return version("sightserve")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
