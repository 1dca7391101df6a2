"""One file on its way through the workers, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.errors import GatewayError


@dataclass(frozen=True, slots=True)
class Decoded:
    """One encoded input row and what the file was."""

    row: bytes
    format: str
    width: int
    height: int
    seconds: float
    """Time in the worker, without waiting for it."""
    warnings: tuple[str, ...] = ()
    """What Pillow had to say."""


@dataclass(slots=True, eq=False)
class Job:
    """A file, and who waits for it."""

    data: bytes
    plan: bytes
    client: str
    deadline: float
    """On the pool's clock."""
    answer: asyncio.Future[Decoded]
    memory_bytes: int
    """What it is to hold: its allowance until its header has been read, then its price."""
    image_bytes: int
    attempts: int = 0

    @property
    def is_over(self) -> bool:
        """Nobody waits any more."""
        return self.answer.done()


def fail(job: Job, error: GatewayError) -> None:
    """Tell whoever waits for the job, if anybody does."""
    if not job.is_over:
        job.answer.set_exception(error)


class Observer(Protocol):
    """Who counts; see `DecodingMetrics`."""

    def decode_killed(self, reason: str) -> None:
        """A worker was ended before its job was."""
        ...


Log = Callable[..., object]
