"""What is answered about one image: the one shape from the batch to the JSON and its documentation.

The dataclasses are written as JSON field by field, and FastAPI documents them as they stand.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClassPrediction:
    """One class; `label` and `id` (an outside id such as a WordNet id) where somebody named it."""

    class_index: int
    label: str | None
    id: str | None
    probability: float


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The model version that computed an answer."""

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The file as it was sent; width and height in pixels, as stored."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds per stage."""

    decode: float
    queue: float
    inference: float
    total: float


@dataclass(frozen=True, slots=True)
class Classification:
    """One image's answer, most probable class first."""

    model: ModelRef
    predictions: list[ClassPrediction]
    image: ImageInfo
    timing_ms: Timing


@dataclass(frozen=True, slots=True)
class Answered:
    """A classification, and what only the log and the metrics want to know about it."""

    classification: Classification
    batch_size: int
    version_label: str | None
    """What was asked for, by the client or by a split."""
    age_seconds: float | None
    """How long the answer has been kept in the cache; None: it was computed."""
    warnings: tuple[str, ...] = ()
    """What the image library had to say."""
    best: ClassPrediction | None = None
    """The most probable class, whatever the client wanted to see of it."""
