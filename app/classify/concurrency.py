"""How many images may be in progress: as many as get through in time, found by watching them.

A gradient algorithm (Netflix's concurrency-limits, Envoy's adaptive concurrency), with one change:
those compare latency with its minimum, which nobody sees while the overload lasts and which
punishes batches. We own every queue on an image's way, so each image says by itself how long it
was worked on; the rest of its time it waited.

    allowed = 1.25 x worked on + queue_seconds         per image, so slow and fast ones may be mixed
    gradient = sum of allowed / sum of latencies      over a window

    gradient >= 1:                       limit x gradient, at most x 1.25; x 1.05 if not in use
    gradient < 0.8:                      halfway to the images that would have met `allowed`, which
                                         by Little's law are the sum of allowed / the window's time

Batches stay full: while all images are being worked on, the gradient is at least 1.25, so the limit
never falls below what the slots take. Pure: time is passed in by a clock, nothing is awaited.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_SERVICE_FACTOR: Final = 1.25
_MIN_WINDOW_SECONDS: Final = 0.1
_MAX_WINDOW_SECONDS: Final = 0.5
"""A window is as long as its images took, within these bounds, so that it shows what the last
change did."""
_MIN_SAMPLES: Final = 8
"""Fewer images say nothing."""
_MAX_GROWTH: Final = 1.25
_FORGETTING: Final = 1.05
"""A limit that is not in use says less with each window: an overload is over some time."""
_FEW: Final = 16
"""So many are let in if they are predicted to get through at all: a handful of clients before a
gateway that has just started, or on a busy machine, is no overload."""
_TOLERANCE: Final = 0.8
"""Down to here the limit stays: the noise of a window is no reason to refuse anybody."""
_SMOOTHING: Final = 0.5
_FAR_OFF: Final = 0.5
"""Halfway is too slow from a gradient this small."""
_SPARE: Final = 1.6
"""What is in progress says nothing about a limit this many times above it, or below: then it came
in under an earlier limit."""


class ConcurrencyLimit:
    """The limit on images in progress, and the rate at which they leave."""

    def __init__(
        self,
        *,
        most: Callable[[], int],
        floor: Callable[[], int],
        queue_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """Start at `most`: nobody is refused before there is evidence.

        Args:
            most: never above it: what is predicted to get through, as far as that is known.
            floor: never below it (unless `most` is): what keeps every slot busy.
            queue_seconds: how long images may wait on average, on top of a quarter of their work.
            clock: monotonic seconds.
        """
        self._most = most
        self._floor = floor
        self._queue_seconds = queue_seconds
        self._clock = clock
        self._limit = float(most())
        self.images = most()
        """How many images may be in progress."""
        self.images_per_second = 0.0
        """Over the last window; 0 before the first."""
        self._opened_at = clock()
        self._images = self._served = self._most_in_progress = 0
        self._total_seconds = self._allowed_seconds = 0.0

    def observe(self, *, total_seconds: float, worked_seconds: float, in_progress: int) -> None:
        """One image left, answered or given up.

        Args:
            total_seconds: since its last byte arrived.
            worked_seconds: of these, decoding and the call it was part of; 0 if it was given up:
                that counts against the limit if it had waited longer than it should have.
            in_progress: images in progress, this one included.
        """
        if worked_seconds <= 0 and total_seconds <= self._queue_seconds:
            return
        self._images += 1
        self._total_seconds += total_seconds
        if worked_seconds > 0:
            self._served += 1
            self._allowed_seconds += _SERVICE_FACTOR * worked_seconds + self._queue_seconds
        self._most_in_progress = max(self._most_in_progress, in_progress)
        now = self._clock()
        elapsed = now - self._opened_at
        if self._images >= _MIN_SAMPLES and elapsed >= self._window_seconds():
            self._adapt(elapsed)
            self._open_window(now)
        most = self._most()
        self.images = min(most, max(self._floor(), _FEW, int(self._limit)))

    def _window_seconds(self) -> float:
        average = self._total_seconds / self._images
        return max(_MIN_WINDOW_SECONDS, min(_MAX_WINDOW_SECONDS, average))

    def _adapt(self, elapsed: float) -> None:
        self.images_per_second = self._served / elapsed
        gradient = self._allowed_seconds / max(self._total_seconds, 1e-9)
        if gradient >= 1:
            if self._most_in_progress <= self._limit * _SPARE:
                is_in_use = self._most_in_progress >= self._limit / _SPARE
                growth = min(gradient, _MAX_GROWTH) if is_in_use else _FORGETTING
                self._limit = min(self._most(), self._limit * growth)
            return
        least = max(self._floor(), min(_FEW, self._most()))
        if gradient > _TOLERANCE or self._most_in_progress <= least:
            return  # so few cannot wait for each other: the machine was slow, not the queue long
        in_use = min(self._limit, self._most_in_progress * _SPARE)
        enough = min(in_use, self._allowed_seconds / elapsed)
        smoothing = _SMOOTHING if gradient > _FAR_OFF else 1.0
        self._limit = max(least, in_use + smoothing * (enough - in_use))

    def _open_window(self, now: float) -> None:
        self._opened_at = now
        self._images = self._served = self._most_in_progress = 0
        self._total_seconds = self._allowed_seconds = 0.0
