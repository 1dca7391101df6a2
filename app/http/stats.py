"""GET /metrics for Prometheus and GET /stats for people without one."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.http.dependencies import ServicesDep
from app.http.schemas import StageSummary, Stats
from app.latencies import WINDOW_SECONDS, WINDOWS
from app.metrics.gateway import CONTENT_TYPE

router = APIRouter(tags=["observe"])


@router.get("/metrics", response_class=Response)
async def metrics(services: ServicesDep) -> Response:
    """Prometheus text format."""
    return Response(services.metrics.exposition(), media_type=CONTENT_TYPE)


@router.get("/stats")
async def stats(services: ServicesDep) -> Stats:
    """Milliseconds at p50, p95, p99 and most, per model, version and stage, over some minutes."""
    stages = [
        StageSummary.model_validate({"model": model, "version": version, "stage": stage, **values})
        for (model, version, stage), values in services.metrics.images.latencies.summary().items()
    ]
    return Stats(window_seconds=WINDOW_SECONDS * WINDOWS, stages=stages)
