"""The JSON answers. A classification's shape stands in `classify.answers`, for code and OpenAPI."""

from __future__ import annotations

from dataclasses import dataclass

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


class StageSummary(BaseModel):
    """Milliseconds of one stage of one version."""

    model: str
    version: str
    stage: str
    count: int
    p50: float
    p95: float
    p99: float
    max: float


class Stats(BaseModel):
    """Latencies over the last minutes."""

    window_seconds: float
    stages: list[StageSummary]
