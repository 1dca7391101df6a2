"""Images in progress and how many may be, batches, and how late everything is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram

_BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128)


class QueueingMetrics:
    """Admission and the batcher, watched."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.batch_size = Histogram(
            "gateway_batch_size",
            "Images per call of the model server.",
            buckets=_BATCH_SIZES,
            registry=registry,
        )
        self._in_flight = Gauge(
            "gateway_batches_in_flight", "Calls of the model server in flight.", registry=registry
        )
        self._queued = Gauge(
            "gateway_queued_images", "Decoded images that wait for a batch.", registry=registry
        )
        self._admitted = Gauge(
            "gateway_images_in_progress", "Images admitted and unanswered.", registry=registry
        )
        self._limit = Gauge(
            "gateway_concurrency_limit",
            "Images that may be in progress; it follows the time that they wait.",
            registry=registry,
        )
        self._lag = Gauge(
            "gateway_event_loop_lag_seconds",
            "How late the event loop was lately: everything waits for it.",
            registry=registry,
        )
        self._saturation = Gauge(
            "gateway_saturation",
            "Images in progress as a share of those that may be; at 1 more are refused.",
            registry=registry,
        )

    def watch(
        self,
        *,
        images: Callable[[], float],
        limit: Callable[[], float],
        lag: Callable[[], float],
        queued: Callable[[], float],
        in_flight: Callable[[], float],
    ) -> None:
        """Read these whenever somebody asks.

        Images admitted, how many may be, how late the event loop is, images queued, and batches
        under way.
        """
        self._admitted.set_function(images)
        self._limit.set_function(limit)
        self._lag.set_function(lag)
        self._saturation.set_function(lambda: images() / limit())
        self._queued.set_function(queued)
        self._in_flight.set_function(in_flight)
