"""What the process that makes a version for OpenVINO is told, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contract.card import EngineProof, ModelCard
from exporter.accuracy.datasets import PictureFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Images besides the golden ones, on which precisions must agree."""

    files: tuple[PictureFile, ...]
    best: tuple[int, ...] | None = None
    """The first class of each by TensorFlow's graph; None: f32 is asked."""
    truth: tuple[int, ...] | None = None
    """The true class of each, where they are labelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A staged version, and what is wanted of it."""

    version_path: Path
    card: ModelCard
    is_bfloat16_native: bool
    calibration: tuple[Path, ...] = ()
    """Images to quantise with; none: no int8."""
    examples: Examples | None = None
    min_agreement: float
    """Of each precision with the reference, on the examples."""
    min_accuracy: float | None = None
    """Of int8, on labelled examples."""


@dataclass(frozen=True, slots=True)
class Made:
    """What has been written beside the version and held against its source."""

    proofs: tuple[EngineProof, ...]
    openvino: str
    """Its version: 2026.4.1."""
    notes: tuple[str, ...] = ()
    """Precisions that are left out, and why."""
