"""What the client returns: frozen, and complete when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class. `id` is an outside id such as a WordNet id, where the model has one."""

    class_index: int
    label: str | None
    """None only for models without labels."""
    probability: float
    """0 to 1."""
    id: str | None = None

    @property
    def name(self) -> str:
        """The label, or the index where there is none."""
        return f"class {self.class_index}" if self.label is None else self.label


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """The model version that computed an answer."""

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The file as the gateway saw it; pixels as stored, before EXIF orientation."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds in the gateway, by stage."""

    decode: float
    queue: float
    inference: float
    total: float


@dataclass(frozen=True, slots=True)
class Classification:
    """One image's answer, most probable class first."""

    predictions: tuple[Prediction, ...]
    model: ModelVersion
    image: ImageInfo
    timing_ms: Timing
    request_id: str

    @property
    def best(self) -> Prediction | None:
        """The most probable class; None if `min_probability` left none."""
        return self.predictions[0] if self.predictions else None


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """One version of a model, as the model servers report it."""

    version: int
    state: str
    """AVAILABLE, LOADING, UNLOADING …"""
    available_at: int
    """At how many model servers it is AVAILABLE."""
    default_at: int
    """At how many it answers requests that name no version."""
    error: str | None = None
    labels: tuple[str, ...] | None = None
    """By class index; only of `model()`, and of models with a card."""
    card: Mapping[str, Any] | None = None
    """The exporter's model card; only of `model()`."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model and its versions, the highest first."""

    name: str
    is_default: bool
    model_servers: int
    versions: tuple[ServedVersion, ...]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the gateway answers images now; true in an `if` when it does."""

    is_ready: bool
    models: tuple[tuple[str, int | None], ...] = ()
    """Names and versions of the required models."""
    detail: str | None = None
    """Why it is not."""

    def __bool__(self) -> bool:
        return self.is_ready


@dataclass(frozen=True, slots=True)
class StageStats:
    """Milliseconds of one stage of one version, over the window."""

    model: str
    version: int
    stage: str
    count: int
    p50: float
    p95: float
    p99: float
    max: float
    mean: float | None = None


@dataclass(frozen=True, slots=True)
class LastProblem:
    """A problem that the gateway answered lately."""

    at: str
    """RFC 3339, UTC."""
    status: int
    type: str
    detail: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Stats:
    """What one gateway process has done lately; None where an older gateway does not say."""

    window_seconds: float
    stages: tuple[StageStats, ...]
    uptime_seconds: float | None = None
    requests_per_second: float | None = None
    images_in_progress: int | None = None
    answered: int | None = None
    refused: int | None = None
    failed: int | None = None
    last_problems: tuple[LastProblem, ...] = ()
    """The newest first."""
