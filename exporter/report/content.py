"""What a report says, as data: `report.json`. The page shows the same, with the pictures.

`schema_version` grows when a reader of the old schema would misread the new one.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from contract.card import ModelCard


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class GateContent(_Part):
    """One check of the gate that was passed."""

    step: str
    found: str
    bound: str | None


class PredictionContent(_Part):
    """One class of one answer."""

    class_index: int
    label: str
    probability: float


class GoldenContent(_Part):
    """A golden image and the most probable classes."""

    file: str
    predictions: tuple[PredictionContent, ...]


class ClassContent(_Part):
    """How well one class is told."""

    class_index: int
    label: str
    pictures: int
    precision: float | None
    """None: never predicted."""
    recall: float | None
    """None: no picture of it."""


class ConfusionContent(_Part):
    """How often a class was taken for another (or for itself)."""

    truth: int
    predicted: int
    pictures: int


class BinContent(_Part):
    """Answers whose best probability lies between `low` and `high`."""

    low: float
    high: float
    pictures: int
    confidence: float
    accuracy: float


class MistakeContent(_Part):
    """One of the most confident wrong answers."""

    file: str
    truth: str
    predicted: str
    probability: float


class BrokenContent(_Part):
    """A file that nobody could classify."""

    file: str
    reason: str


class UnknownContent(_Part):
    """A label of the set that the model does not have."""

    label: str
    pictures: int
    hint: str


class EvaluationContent(_Part):
    """A classifier on labelled pictures."""

    target: str
    dataset: str
    pictures: int
    top_1: float
    top_1_low: float
    top_1_high: float
    """Wilson's interval at 95 %."""
    top_5: float | None
    ece: float
    bins: tuple[BinContent, ...]
    classes: tuple[ClassContent, ...]
    """Those with a picture or an answer."""
    confusion: tuple[ConfusionContent, ...]
    """What occurred."""
    mistakes: tuple[MistakeContent, ...]
    broken: tuple[BrokenContent, ...]
    unknown: tuple[UnknownContent, ...]


class ModeContent(_Part):
    """Top-1 of the source under one preprocessing."""

    mode: str
    pictures: int
    top_1: float
    is_chosen: bool


class RegressionContent(_Part):
    """The new version less the other, on the same pictures."""

    against: str
    pictures: int
    top_1: float
    against_top_1: float
    difference: float
    low: float
    high: float
    """Newcombe's interval for paired answers at 95 %."""
    only_new_right: int
    only_against_right: int


class LatencyContent(_Part):
    """Milliseconds of one picture on the gate's model server."""

    requests: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class FileContent(_Part):
    """One file of the version."""

    name: str
    size_bytes: int


class ReportContent(_Part):
    """All that is known about a version when it is published."""

    schema_version: Literal[1] = 1
    written_at: AwareDatetime
    card: ModelCard
    gate: tuple[GateContent, ...]
    evaluation: EvaluationContent | None
    modes: tuple[ModeContent, ...]
    regression: RegressionContent | None
    latency: LatencyContent | None
    goldens: tuple[GoldenContent, ...]
    files: tuple[FileContent, ...]
    graph_sha256: str
    """Of saved_model.pb."""
