"""GET /metrics for Prometheus and GET /stats for people without one."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from app.http.dependencies import ServicesDep
from app.http.outcomes import ProblemNote
from app.http.schemas import LastProblem, StageSummary, Stats
from app.http.strict import StrictRoute
from app.latencies import WINDOW_SECONDS, WINDOWS
from app.metrics.gateway import CONTENT_TYPE

router = APIRouter(tags=["observe"], route_class=StrictRoute)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(services: ServicesDep) -> Response:
    """Prometheus text format."""
    return Response(services.metrics.exposition(), media_type=CONTENT_TYPE)


@router.get("/stats")
async def stats(services: ServicesDep) -> Stats:
    """Milliseconds per model, version and stage over some minutes, and how images went so far."""
    images, outcomes = services.metrics.images, services.outcomes
    return Stats(
        window_seconds=WINDOW_SECONDS * WINDOWS,
        uptime_seconds=round(images.rate.uptime_seconds, 3),
        requests_per_second=round(images.rate.per_second, 2),
        images_in_progress=services.admission.images,
        answered=images.rate.total,
        refused=outcomes.refused,
        failed=outcomes.failed,
        last_problems=[_last(note) for note in outcomes.last],
        stages=[
            StageSummary.model_validate(
                {"model": model, "version": version, "stage": stage, **values}
            )
            for (model, version, stage), values in images.latencies.summary().items()
        ],
    )


def _last(note: ProblemNote) -> LastProblem:
    at = note.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return LastProblem(
        at=at,
        status=note.status,
        type=note.type,
        detail=note.detail,
        request_id=note.request_id,
    )
