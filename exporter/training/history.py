"""What training went through, epoch by epoch: kept as JSON beside the version."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Epoch(_Part):
    """One walk over the training pictures."""

    loss: float
    accuracy: float
    """On the training pictures, as they were augmented."""
    validation_loss: float
    validation_accuracy: float


class Stage(_Part):
    """One of: the head, the whole network, fine-tuning."""

    name: str
    epochs: tuple[Epoch, ...]
    best: int
    """The epoch whose weights were kept, from 1; 0: those from before."""


class History(_Part):
    """All of it."""

    network: str
    weights: str
    seed: int
    image_height: int
    image_width: int
    parameters: int
    augmented_copies: int | None
    """None: new ones in every epoch."""
    notes: tuple[str, ...]
    stages: tuple[Stage, ...]
