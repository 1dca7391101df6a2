"""GET /metrics for Prometheus and GET /stats for people without one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from app.figures import Figures
from app.http.dependencies import ServicesDep
from app.http.outcomes import ProblemNote
from app.http.schemas import LastProblem, StageSummary, Stats
from app.http.services import Services
from app.http.strict import StrictRoute
from app.latencies import WINDOW_SECONDS, WINDOWS, summary
from app.metrics.gateway import CONTENT_TYPE

router = APIRouter(tags=["observe"], route_class=StrictRoute)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(services: ServicesDep) -> Response:
    """Prometheus text format; of all workers together where there are several."""
    member = services.member
    text = services.metrics.exposition() if member is None else await member.metrics()
    return Response(text, media_type=CONTENT_TYPE)


@router.get("/stats")
async def stats(services: ServicesDep) -> Stats:
    """Milliseconds per model, version and stage over some minutes, and how images went so far."""
    member = services.member
    figures = own_figures(services) if member is None else await member.figures()
    return Stats(
        window_seconds=WINDOW_SECONDS * WINDOWS,
        uptime_seconds=round(figures.uptime_seconds, 3),
        requests_per_second=round(figures.requests_per_second, 2),
        images_in_progress=figures.images_in_progress,
        answered=figures.answered,
        refused=figures.refused,
        failed=figures.failed,
        last_problems=[LastProblem(**problem) for problem in figures.last_problems],
        stages=[
            StageSummary.model_validate(
                {"model": model, "version": version, "stage": stage, **values}
            )
            for (model, version, stage), values in summary(figures.stages).items()
        ],
    )


def own_figures(services: Services) -> Figures:
    """What this process has counted."""
    images, outcomes = services.metrics.images, services.outcomes
    return Figures(
        images.rate.uptime_seconds,
        images.rate.per_second,
        services.admission.images,
        images.rate.total,
        outcomes.refused,
        outcomes.failed,
        [_last(note) for note in outcomes.last],
        images.latencies.recent(),
    )


def _last(note: ProblemNote) -> dict[str, Any]:
    """As `LastProblem` has it."""
    at = note.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return asdict(note) | {"at": at}
