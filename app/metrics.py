"""Prometheus metrics, made per registry (never per process: tests build many gateways).

Labels come from small sets only: route templates, statuses, stages, and the models and versions
that really answered. Nothing a client can invent becomes a label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
_BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The gateway's collectors; also the observer of batcher, pool and admission."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "gateway_requests_total",
            "HTTP requests by route template and status.",
            ("route", "method", "status"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "gateway_request_seconds",
            "Time from a request's headers to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._stage_seconds = Histogram(
            "gateway_stage_seconds",
            "Time of one image in one stage: decode, queue, inference, total.",
            ("model", "version", "stage"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._images = Counter(
            "gateway_images_total",
            "Images answered, by model and version.",
            ("model", "version"),
            registry=registry,
        )
        self._problems = Counter(
            "gateway_problems_total",
            "Problems answered, by type.",
            ("type",),
            registry=registry,
        )
        self._batch_size = Histogram(
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
        self._retries = Counter(
            "gateway_model_server_retries_total", "Calls made a second time.", registry=registry
        )
        self._ejections = Counter(
            "gateway_model_server_ejections_total",
            "Model server addresses taken out of use.",
            registry=registry,
        )
        self._ready = Gauge(
            "gateway_ready", "1 while every required model answers.", registry=registry
        )

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self._registry)

    def request_done(self, route: str, method: str, status: int, seconds: float) -> None:
        """One HTTP request was answered."""
        self._requests.labels(route, method, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def image_done(self, model: str, version: str, seconds_by_stage: Mapping[str, float]) -> None:
        """One image was answered."""
        self._images.labels(model, version).inc()
        for stage, seconds in seconds_by_stage.items():
            self._stage_seconds.labels(model, version, stage).observe(seconds)

    def problem(self, slug: str) -> None:
        """One problem was answered."""
        self._problems.labels(slug).inc()

    def ready(self, *, is_ready: bool) -> None:
        """The last answer of /readyz."""
        self._ready.set(float(is_ready))

    def admitted(self, images: int) -> None:
        """Observer of admission."""
        self._admitted.set(images)

    def batch_sent(self, size: int) -> None:
        """Observer of the batcher."""
        self._batch_size.observe(size)
        self._in_flight.inc()

    def batch_done(self) -> None:
        """Observer of the batcher."""
        self._in_flight.dec()

    def queued(self, change: int) -> None:
        """Observer of the batcher."""
        self._queued.inc(change)

    def retried(self) -> None:
        """Observer of the pool."""
        self._retries.inc()

    def ejected(self, address: str) -> None:  # noqa: ARG002 - addresses are no small set
        """Observer of the pool."""
        self._ejections.inc()
