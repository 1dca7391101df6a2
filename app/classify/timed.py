"""A source that tells how long each image took: what admission adapts to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from app.classify.inference import Outcome, Photo, Source
from app.errors import DeadlineExceededError, OverloadedError


class TimeObserver(Protocol):
    """Told of each image how long it took."""

    def __call__(self, *, total_seconds: float, worked_seconds: float) -> None:
        """An image took so long in all, and was worked on for so much of it.

        Nothing was done for one that was given up after a wait: at its deadline, by its client, or
        because of the queue before it, whose predicted length then counts.
        """
        ...


class Timed:
    """The source that looks at the clock around another one."""

    def __init__(
        self, source: Source, *, clock: Callable[[], float], on_time: TimeObserver
    ) -> None:
        self._source = source
        self._clock = clock
        self._on_time = on_time

    async def outcome(self, photo: Photo) -> Outcome:
        """See `Source.outcome`."""
        started_at = self._clock()
        try:
            outcome = await self._source.outcome(photo)
        except (asyncio.CancelledError, DeadlineExceededError, OverloadedError) as error:
            expected: float = getattr(error, "retry_after_seconds", 0.0)
            total_seconds = self._clock() - started_at + expected
            self._on_time(total_seconds=total_seconds, worked_seconds=0.0)
            raise
        self._on_time(
            total_seconds=self._clock() - started_at,
            worked_seconds=outcome.decode_seconds + outcome.run_seconds,
        )
        return outcome
