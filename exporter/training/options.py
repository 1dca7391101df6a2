"""What a training may be told. Needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from contract.image_spec import Fit
from exporter.options import IMAGENET, OpenVino

DEFAULT_APPLICATION: Final = "EfficientNetV2B0"
"""78.7 % on ImageNet against MobileNetV2's 71.3 % (keras.io/api/applications), for 21 ms a picture
on two cores against 16 and 24 MB against 9, measured: a frozen extractor is as good as its
features, and a third more time buys a quarter fewer mistakes."""
COMPACT: Final = "compact CNN"
"""The network that starts from random weights where no application is named."""
SEED: Final = 7

Network = Literal["frozen", "application", "compact"]
"""A frozen extractor with a head; the whole application from random weights; a small network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """What to train on and how. None: found out from the folder and the network."""

    folder: Path
    name: str
    base_path: Path
    application: str | None = None
    weights: str = IMAGENET
    """`imagenet`, `none` or the path of a weights file."""
    image_size: tuple[int, int] | None = None
    """Height, width."""
    fit: Fit = "stretch"
    augment: bool = True
    mirror: bool = False
    validation: float = 0.15
    """Part of each class that decides when to stop."""
    test: float = 0.15
    """Part of each class that measures the result, and nothing else."""
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float | None = None
    fine_tune: bool = False
    seed: int = SEED
    strict: bool = False
    min_accuracy: float | None = None
    keras_file: Path | None = None
    openvino: OpenVino = "never"

    @property
    def network(self) -> Network:
        """Random weights are worth nothing when frozen: they train whole."""
        if self.weights != "none":
            return "frozen"
        return "application" if self.application else "compact"

    @property
    def network_name(self) -> str:
        """For people."""
        if self.network == "compact":
            return COMPACT
        return self.application or DEFAULT_APPLICATION
