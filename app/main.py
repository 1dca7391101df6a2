"""The composition root: settings in, a ready-made ASGI application out. Nothing global."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.access.addresses import TrustedProxies
from app.access.hosts import AllowedHosts
from app.access.keys import KeysError, KeysFile
from app.access.limits import Limiter, Policy, Rate
from app.classification import build_classification
from app.classify.lag import LoopLag
from app.classify.readiness import Readiness
from app.errors import GatewayError
from app.http import classify, docs, health, models, page, problems, stats
from app.http.access import ClientGuard, Cors, HostGuard
from app.http.buffers import Buffers
from app.http.callers import Callers
from app.http.gate import OverloadGate
from app.http.middleware import Observe
from app.http.open_inference import routes as open_inference
from app.http.openapi import declare_keys, document_fully, operation_id
from app.http.outcomes import Outcomes
from app.http.ports import PortGuard
from app.http.refusals import Refusals
from app.http.services import Services
from app.http.shortcut import ClassifyShortcut
from app.log import get_logger
from app.metrics.gateway import Metrics
from app.settings.gateway import Settings
from app.tracing import Tracing
from app.workers.member import Member
from protocol.version import running_version

_HEAD_START_SECONDS: Final = 5.0
"""So long a worker that replaces another may take to get ready before it serves all the same."""
_LOOK_SECONDS: Final = 0.1


def create_app(settings: Settings, member: Member | None = None) -> FastAPI:
    """Build a gateway, or one of several workers; connections open in its lifespan."""
    clock = time.monotonic
    metrics = Metrics(clock)
    lag = LoopLag()
    parts = build_classification(settings, metrics, clock, lambda: lag.seconds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await parts.start()
        if member is not None and member.is_replacement:
            await _get_ready(parts.readiness)
        lag_watch = asyncio.create_task(lag.watch())
        watch = asyncio.create_task(keys.watch(partial(_log_keys, keys))) if keys else None
        try:
            yield
        finally:
            lag_watch.cancel()
            if watch is not None:
                watch.cancel()
            await parts.aclose()
            if tracing is not None:
                await tracing.aclose()

    tracing = _tracing(settings)
    outcomes = Outcomes()
    refusals = Refusals(metrics.http, get_logger(), clock, outcomes)
    keys = KeysFile(settings.api_keys_file) if settings.api_keys_file else None
    if keys is not None:
        metrics.http.watch_keys(count=lambda: len(keys.ring), is_stale=lambda: keys.is_stale)
    callers = _callers(settings, keys)
    app = _application(lifespan)
    app.state.services = Services(
        settings=settings,
        catalog=parts.catalog,
        classifier=parts.classifier,
        admission=parts.admission,
        buffers=Buffers(
            max_bytes=settings.max_buffered_bytes,
            max_body_bytes=max(settings.max_body_bytes, settings.max_batch_body_bytes),
        ),
        readiness=parts.readiness,
        metrics=metrics,
        gate=OverloadGate(parts.admission.verdict, refusals, callers),
        refusals=refusals,
        outcomes=outcomes,
        member=member,
    )
    app.add_middleware(ClassifyShortcut)
    _guard(app, settings, callers, clock, member)
    app.add_middleware(
        Observe, metrics=metrics.http, log=get_logger(), tracing=tracing, outcomes=outcomes
    )
    return app


async def _get_ready(readiness: Readiness) -> None:
    """Others serve meanwhile: what connects is theirs until the models answer here, too."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_HEAD_START_SECONDS):
            while True:
                if (await readiness.report()).is_ready:
                    return
                await asyncio.sleep(_LOOK_SECONDS)


def _tracing(settings: Settings) -> Tracing | None:
    """Traces, where they are switched on; the extra `otel` is imported then only."""
    if not settings.otel:
        return None
    from app.otel import otlp_tracing  # noqa: PLC0415 - see above

    return otlp_tracing(running_version())


def _callers(settings: Settings, keys: KeysFile | None) -> Callers:
    proxies = TrustedProxies(settings.trusted_proxies, settings.forwarding_header)
    return Callers(
        proxies=proxies if settings.trusted_proxies else None,
        keys=(lambda: keys.ring) if keys else None,
    )


def _guard(
    app: FastAPI,
    settings: Settings,
    callers: Callers,
    clock: Callable[[], float],
    member: Member | None,
) -> None:
    """Put around the routes what is configured, innermost first; nothing costs nothing."""
    if callers.have_keys:
        declare_keys(app)
    per_key, per_address = settings.rate_limit_per_key, settings.rate_limit_per_address
    if callers.have_keys or per_address or settings.trusted_proxies:
        app.add_middleware(
            ClientGuard,
            callers=callers,
            per_address=_limiter(per_address, clock, member, "address"),
            per_key=_limiter(per_key, clock, member, "key"),
        )
    if settings.cors_origins:
        app.add_middleware(Cors, origins=settings.cors_origins)
    if settings.allowed_hosts:
        app.add_middleware(HostGuard, hosts=AllowedHosts(settings.allowed_hosts))
    if settings.admin_port is not None:
        app.add_middleware(PortGuard)


def _limiter(
    rate: Rate | None, clock: Callable[[], float], member: Member | None, kind: Policy
) -> Limiter | None:
    """One for each rate that is set; several workers count together."""
    if rate is None:
        return None
    return Limiter(rate, clock=clock, debts=None if member is None else member.debts(kind))


def _application(lifespan: Callable[[FastAPI], object]) -> FastAPI:
    app = FastAPI(
        title="Sightserve",
        description="Photos in, labels out. Every answer that is not 2xx is a problem (RFC 9457).",
        version=running_version(),
        lifespan=lifespan,  # type: ignore[arg-type]  # FastAPI's alias is wider than its docs
        generate_unique_id_function=operation_id,
        openapi_url=None,  # as docs_url: `docs` has the routes
        docs_url=None,  # FastAPI's page loads scripts from a CDN; ours works offline
        redoc_url=None,
        redirect_slashes=False,  # a redirected upload is sent twice
    )
    app.state.documents = {}
    document_fully(app)
    for part in (classify, models, health, stats, open_inference):
        app.include_router(part.router)
    app.include_router(page.page_router(page.PAGE.read_text(encoding="utf-8")))
    app.include_router(docs.router)
    app.add_exception_handler(GatewayError, problems.on_gateway_error)
    app.add_exception_handler(HTTPException, problems.on_http_exception)
    app.add_exception_handler(RequestValidationError, problems.on_validation_error)
    return app


def _log_keys(keys: KeysFile, error: KeysError | None) -> None:
    """One line for each change of the file; never a key or a hash."""
    if error is None:
        get_logger().info("api keys changed", keys=len(keys.ring))
    else:
        get_logger().error("api keys not changed", detail=str(error), keys=len(keys.ring))
