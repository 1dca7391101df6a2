"""GET /livez, /readyz, /healthz: the process turns, the model answers, a summary."""

from __future__ import annotations

from fastapi import APIRouter

from app.errors import ModelNotReadyError
from app.http.dependencies import ServicesDep
from app.http.schemas import Alive, Health, ModelHealth, Ready, ReadyModel
from app.http.strict import StrictRoute

router = APIRouter(tags=["health"], route_class=StrictRoute)


@router.get("/livez")
async def livez() -> Alive:
    """The event loop turns; says nothing about the model. For liveness probes."""
    return Alive(status="alive")


@router.get("/readyz")
async def readyz(services: ServicesDep) -> Ready:
    """Every required model is AVAILABLE and really answered within the last seconds."""
    report = await services.readiness.report()
    services.metrics.model_server.ready(is_ready=report.is_ready)
    if not report.is_ready:
        raise ModelNotReadyError(report.detail)
    models = [ReadyModel(name=model.name, version=model.version) for model in report.models]
    return Ready(status="ready", models=models)


@router.get("/healthz")
async def healthz(services: ServicesDep) -> Health:
    """A summary for people and dashboards; always 200 while the process turns."""
    report = await services.readiness.report()
    return Health(
        status="ready" if report.is_ready else "not ready",
        detail=report.detail or None,
        draining=report.is_draining,
        models=[
            ModelHealth(
                name=model.name, ready=model.is_ready, version=model.version, detail=model.detail
            )
            for model in report.models
        ],
        images_in_progress=services.admission.images,
        bytes_in_progress=services.buffers.bytes,
    )
