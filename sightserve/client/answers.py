"""JSON answers to results. Members that this client does not know are passed over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sightserve.client.results import (
    Classification,
    ImageInfo,
    LastProblem,
    ModelVersion,
    Prediction,
    Readiness,
    ServedModel,
    ServedVersion,
    StageStats,
    Stats,
    Timing,
)

Json = Mapping[str, Any]

MALFORMED = (KeyError, TypeError, ValueError, AttributeError)
"""What these functions raise for JSON of another shape."""


def classification(body: Json) -> Classification:
    """Of `POST /classify`."""
    model, image, timing = body["model"], body["image"], body["timing_ms"]
    return Classification(
        tuple(
            Prediction(each["class_index"], each["label"], each["probability"], each.get("id"))
            for each in body["predictions"]
        ),
        ModelVersion(model["name"], model["version"]),
        ImageInfo(image["format"], image["width"], image["height"]),
        Timing(timing["decode"], timing["queue"], timing["inference"], timing["total"]),
        body["request_id"],
    )


def models(body: Json) -> tuple[ServedModel, ...]:
    """Of `GET /models`."""
    return tuple(model(each) for each in body["models"])


def model(body: Json) -> ServedModel:
    """Of `GET /models/{name}`."""
    return ServedModel(
        name=body["name"],
        is_default=body["is_default"],
        model_servers=body.get("model_servers", 0),
        versions=tuple(_version(each) for each in body["versions"]),
        error=body.get("error"),
    )


def _version(body: Json) -> ServedVersion:
    labels = body.get("labels")
    return ServedVersion(
        version=int(body["version"]),
        state=body["state"],
        available_at=body.get("available_at", 0),
        default_at=body.get("default_at", 0),
        error=body.get("error"),
        labels=None if labels is None else tuple(labels),
        card=body.get("card"),
    )


def ready(body: Json) -> Readiness:
    """Of `GET /readyz` that is 200."""
    return Readiness(
        is_ready=True,
        models=tuple((each["name"], each.get("version")) for each in body.get("models", ())),
    )


def stats(body: Json) -> Stats:
    """Of `GET /stats`."""
    return Stats(
        window_seconds=body["window_seconds"],
        stages=tuple(_stage(each) for each in body["stages"]),
        uptime_seconds=body.get("uptime_seconds"),
        requests_per_second=body.get("requests_per_second"),
        images_in_progress=body.get("images_in_progress"),
        answered=body.get("answered"),
        refused=body.get("refused"),
        failed=body.get("failed"),
        last_problems=tuple(_last_problem(each) for each in body.get("last_problems", ())),
    )


def _stage(body: Json) -> StageStats:
    return StageStats(
        model=body["model"],
        version=int(body["version"]),
        stage=body["stage"],
        count=body["count"],
        p50=body["p50"],
        p95=body["p95"],
        p99=body["p99"],
        max=body["max"],
        mean=body.get("mean"),
    )


def _last_problem(body: Json) -> LastProblem:
    return LastProblem(
        at=body["at"],
        status=body["status"],
        type=body["type"],
        detail=body.get("detail"),
        request_id=body.get("request_id"),
    )
