"""The JSON answers, for OpenAPI; the hot path writes its JSON itself, a test compares the two."""

from __future__ import annotations

from pydantic import BaseModel, Field

from contract.card import ModelCard


class ModelRef(BaseModel):
    """The model version that computed an answer."""

    name: str
    version: int


class PredictionItem(BaseModel):
    """One class."""

    class_index: int
    label: str | None = Field(description="null when nobody named the class")
    id: str | None = Field(description="an outside id such as a WordNet id")
    probability: float


class ImageInfo(BaseModel):
    """The file as it was sent."""

    format: str
    width: int
    height: int


class Timing(BaseModel):
    """Milliseconds per stage."""

    decode: float
    queue: float
    inference: float
    total: float


class ClassifyAnswer(BaseModel):
    """The answer of `POST /classify`."""

    request_id: str
    model: ModelRef
    predictions: list[PredictionItem]
    image: ImageInfo
    timing_ms: Timing


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str | None = None
    parameter: str | None = None
    request_id: str | None = None


class BatchItem(BaseModel):
    """One file of a batch: its result, or the problem."""

    file: str | None
    model: ModelRef | None = None
    predictions: list[PredictionItem] | None = None
    image: ImageInfo | None = None
    timing_ms: Timing | None = None
    problem: Problem | None = None


class BatchAnswer(BaseModel):
    """The answer of `POST /classify/batch`, in the order of the files."""

    request_id: str
    results: list[BatchItem]
    timing_ms: dict[str, float]


class VersionInfo(BaseModel):
    """One version as the model server reports it; the card of available ones from our exporter."""

    version: int
    state: str
    error: str | None = None
    labels: list[str] | None = None
    card: ModelCard | None = None


class ModelInfo(BaseModel):
    """One model."""

    name: str
    is_default: bool
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


class Stats(BaseModel):
    """Latencies over the last minutes."""

    window_seconds: float
    stages: list[StageSummary]
