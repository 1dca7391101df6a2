"""How long images may wait, how many are let in, and how they leave in batches."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from app.settings.room import ForEachWorker, Room


class QueueingSettings(Room):
    """Deadlines, batches and admission: see `app.classify.batcher` and `.admission`."""

    default_timeout_seconds: float = Field(
        default=10.0, gt=0, le=3600, description="A request's deadline when it names none."
    )
    max_timeout_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="Cap on the X-Request-Timeout-Ms header."
    )
    max_batch_size: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Images per call of the model server. Not above the model server's own "
        "max_batch_size where it batches too.",
    )
    max_batch_seconds: float = Field(
        default=0.2,
        gt=0,
        le=60,
        description="A call of the model server should take no longer: slow models get smaller "
        "batches, so that nobody waits long behind one.",
    )
    max_in_flight_batches: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Calls in flight per model, version and address of the model server, from each "
        "of GATEWAY_WORKERS.",
    )
    max_queue: int = Field(
        default_factory=ForEachWorker(512),
        ge=1,
        le=100_000,
        description="Images in progress (decoded, waiting or computed) at most. Usually fewer are "
        "let in: as many as keep GATEWAY_TARGET_QUEUE_SECONDS. More are refused with 429.",
    )
    target_queue_seconds: float = Field(
        default=0.2,
        gt=0,
        le=60,
        description="How long images may wait on average, on top of a quarter of the time that "
        "they are worked on. The number of images in progress adapts to it.",
    )

    @model_validator(mode="after")
    def _timeouts_agree(self) -> Self:
        if self.default_timeout_seconds > self.max_timeout_seconds:
            raise ValueError("GATEWAY_DEFAULT_TIMEOUT_SECONDS is above GATEWAY_MAX_TIMEOUT_SECONDS")
        return self
