"""The JSON answers. A classification's shape stands in `classify.answers`, for code and OpenAPI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from app.classify.answers import Classification
from contract.card import ModelCard


@dataclass(frozen=True, slots=True)
class ClassifyAnswer(Classification):
    """The answer of `POST /classify`."""

    request_id: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str | None = None
    parameter: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class BatchResult(Classification):
    """One file of a batch, classified."""

    file: str | None
    """Its name, as the client calls it."""


class BatchProblem(BaseModel):
    """One file of a batch that could not be."""

    file: str | None
    problem: Problem


class BatchAnswer(BaseModel):
    """The answer of `POST /classify/batch`, in the order of the files."""

    request_id: str
    results: list[BatchResult | BatchProblem]
    timing_ms: dict[str, float]


class VersionInfo(BaseModel):
    """One version as the model servers report it; the card of available ones from our exporter."""

    version: int
    state: str
    """The best one that a model server reports."""
    available_at: int
    """How many model servers have it AVAILABLE."""
    default_at: int
    """How many answer with it where a request names no version: more than one such version means
    that the model servers do not agree."""
    error: str | None = None
    labels: list[str] | None = None
    card: ModelCard | None = None


class ModelInfo(BaseModel):
    """One model."""

    name: str
    is_default: bool
    model_servers: int = 0
    """How many say something about it."""
    versions: list[VersionInfo]
    error: str | None = None


class ModelList(BaseModel):
    """The models that this gateway answers for."""

    models: list[ModelInfo]


class ReadyModel(BaseModel):
    """One required model that answers."""

    name: str
    version: int | None


class Ready(BaseModel):
    """The answer of a ready gateway."""

    status: str
    models: list[ReadyModel]


class Alive(BaseModel):
    """The answer of `GET /livez`."""

    status: str


class ModelHealth(BaseModel):
    """One required model, and what is wrong with it if something is."""

    name: str
    ready: bool
    version: int | None
    detail: str | None


class Health(BaseModel):
    """The answer of `GET /healthz`."""

    status: Literal["ready", "not ready"]
    detail: str | None
    draining: bool
    """The gateway is about to stop."""
    models: list[ModelHealth]
    images_in_progress: int
    bytes_in_progress: int


class StageSummary(BaseModel):
    """Milliseconds of one stage of one version."""

    model: str
    version: int
    stage: str
    """decode, queue, inference or total."""
    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


class LastProblem(BaseModel):
    """A problem that was answered lately."""

    at: str
    """When, as RFC 3339 in UTC."""
    status: int
    type: str
    detail: str | None
    request_id: str | None


class Stats(BaseModel):
    """Latencies over the last minutes, and how requests went since the start."""

    window_seconds: float
    uptime_seconds: float
    requests_per_second: float
    """Images answered per second, over the last ten seconds."""
    images_in_progress: int
    answered: int
    """Images with a result since the start."""
    refused: int
    """Images that were refused though nothing was wrong with them: 429, 503 and 504."""
    failed: int
    """Images with any other problem."""
    last_problems: list[LastProblem]
    """The newest first, at most ten."""
    stages: list[StageSummary]
