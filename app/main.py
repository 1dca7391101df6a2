"""The composition root: settings in, a ready-made ASGI application out. Nothing global."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app import problems
from app.admission import Admission
from app.catalog import Catalog
from app.classifier import Classifier
from app.decoder import Decoder
from app.errors import GatewayError
from app.latencies import Latencies
from app.log import get_logger
from app.metrics import Metrics
from app.middleware import Observe
from app.model_server.pool import ModelServerPool
from app.readiness import Readiness
from app.routes import classify, docs, health, models, page, stats
from app.schemas import Problem
from app.services import Services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from app.model_server.addresses import Address
    from app.model_server.base import ModelServer
    from app.readiness import Report
    from app.settings import Settings

_PROBLEM: Final[dict[str, Any]] = {
    "description": "A problem",
    "content": {problems.MEDIA_TYPE: {"schema": Problem.model_json_schema()}},
}


def create_app(settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> FastAPI:
    """Build a gateway; connections open in its lifespan."""
    metrics = Metrics()
    pool = _pool(settings, metrics)
    catalog = Catalog(pool, settings.load_models_file(), clock=clock)
    decoder = Decoder(
        pool.encode_row,
        threads=settings.decode_threads,
        max_pixels=settings.max_image_pixels,
        clock=clock,
    )
    classifier = Classifier(
        pool,
        catalog,
        decoder,
        max_batch_size=settings.max_batch_size,
        slots=lambda: settings.max_in_flight_batches * pool.size,
        clock=clock,
        observer=metrics,
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
        admission=Admission(
            max_images=settings.max_queue,
            max_bytes=settings.max_buffered_bytes,
            on_change=metrics.admitted,
        ),
        readiness=Readiness(pool, catalog, settings.models, clock=clock, on_change=_log_readiness),
        metrics=metrics,
        latencies=Latencies(clock),
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


def _pool(settings: Settings, metrics: Metrics) -> ModelServerPool:
    """The pool for the protocol in use; only that one is imported (memory, start time)."""
    connect: Callable[[Address], ModelServer]
    if settings.targets.protocol == "grpc":
        from app.model_server.grpc_client import GrpcModelServer  # noqa: PLC0415 - see above

        connect, encode_row = GrpcModelServer, GrpcModelServer.encode_row
    else:
        from app.model_server.rest_client import RestModelServer  # noqa: PLC0415 - see above

        connect, encode_row = RestModelServer, RestModelServer.encode_row
    return ModelServerPool(
        settings.targets,
        connect,
        encode_row=encode_row,
        observer=metrics,
        resolve_interval_seconds=settings.resolve_interval_seconds,
    )


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
