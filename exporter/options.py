"""What an export may be told: the words and the whole. Needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from contract.card import Task
from exporter.preprocessing import Preprocess

DEFAULT_APPLICATION: Final = "MobileNetV2"
IMAGENET: Final = "imagenet"
"""Of weights and of labels: Keras' own, downloaded."""
DIGITS: Final = "digits"
"""The name of the demonstration model, where an application could stand."""

DIGITS_EPOCHS: Final = 14
DEFAULT_ENCODED_PARITY_BOUND: Final = 0.01
"""Files are decoded in the graph as Pillow 13 does, bit by bit: measured 0. A level more or less at
an edge, as of another Pillow, moved a trained network's probabilities by 3e-4."""

Activation = Literal["none", "softmax", "sigmoid"]
"""What the graph adds behind the network."""

Freeze = Literal["auto", "always", "never"]
"""auto: to constants unless they are too large for a protobuf."""

Precision = Literal["float32", "bfloat16", "int8"]
"""What the served graph computes in; int8: besides, a quantised copy for OpenVINO."""

OpenVino = Literal["auto", "always", "never"]
"""Whether the version is also made for OpenVINO; auto: where that is installed and proves."""

OpenVinoPrecision = Literal["f32", "bf16", "int8"]
"""What OpenVINO computes a version in."""

DEFAULT_MIN_AGREEMENT: Final = 0.995
"""Of a precision's first classes with those of TensorFlow's graph, on images besides the golden
ones."""

TfLite = Literal["none", "dynamic", "float16", "int8"]
"""How a `model.tflite` beside the version is quantised; see `exporter.graph.tflite`."""

# The same with "auto", for the command line: typer takes no unions.
ActivationOption = Literal["auto", "none", "softmax", "sigmoid"]
TaskOption = Literal["auto", "single_label", "multi_label"]
PixelsOption = Literal["keras", "keras-load-img", "torchvision", "tf-dataset"]
FitOption = Literal["auto", "stretch", "center_crop", "pad"]
FilterOption = Literal["auto", "nearest", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True, slots=True)
class GoldenFile:
    """One image file: its bytes and their format's usual suffix."""

    suffix: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyOptions:
    """Which labelled pictures a new version must answer, and how well."""

    pictures: Path
    """A folder per class, a CSV file, or a list: see `accuracy.datasets`."""
    min_accuracy: float | None = None
    """Top-1, in 0..1."""
    max_regression: float | None = None
    """How much less than a published version's, in 0..1, on the same pictures."""
    against: int | None = None
    """That version; None: the highest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What to export and how. None: found out from the source."""

    name: str
    base_path: Path
    version: int | None = None
    labels: str | None = None
    """A file, a folder, a list with commas, or `imagenet`."""
    image: dict[str, Any] = field(default_factory=dict)
    """Fields of ImageSpec that somebody decided; the rest is the source's, or the default."""
    preprocess: Preprocess | None = None
    task: Task | None = None
    activation: Activation | None = None
    k: int | None = None
    freeze: Freeze = "auto"
    precision: Precision = "float32"
    jit: bool = False
    """Try XLA, and keep it where it is faster."""
    tflite: TfLite | None = None
    """None: no `model.tflite`."""
    calibration_dir: Path | None = None
    """With tflite int8 and precision int8: images, in folders or not; None: those of golden_dir."""
    openvino: OpenVino = "never"
    min_agreement: float = DEFAULT_MIN_AGREEMENT
    golden_dir: Path | None = None
    parity_bound: float | None = None
    """None: by the source's precision."""
    encoded_parity_bound: float = DEFAULT_ENCODED_PARITY_BOUND
    """Of `top_k_encoded`, which decodes and resizes files by itself."""
    allowed_ops: tuple[str, ...] = ()
    """Types of operations that may do more than compute."""
    accuracy: AccuracyOptions | None = None
    max_latency_ms: float | None = None
    """Of one picture on the gate's model server, 95th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChoices:
    """What the command line says about a source; the other targets say it themselves."""

    labels: str | None = None
    preprocess: Preprocess | None = None
    activation: Activation | None = None
    image: dict[str, Any] = field(default_factory=dict)
    signature: str | None = None
    input_name: str | None = None
    output_name: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said."""
        return self == SourceChoices()
