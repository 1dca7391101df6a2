"""What an export may be told: the words and the whole. Needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from contract.card import Evaluation, Task
from exporter.preprocessing import Preprocess

DEFAULT_APPLICATION: Final = "MobileNetV2"
DIGITS: Final = "digits"
"""The name of the demonstration model, where an application could stand."""

Activation = Literal["none", "softmax", "sigmoid"]
"""What the graph adds behind the network."""

Freeze = Literal["auto", "always", "never"]
"""auto: to constants unless they are too large for a protobuf."""

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
    golden_dir: Path | None = None
    golden_files: tuple[GoldenFile, ...] = ()
    """More golden images, for callers in Python."""
    parity_bound: float | None = None
    """None: by the source's precision."""
    evaluation: Evaluation | None = None
