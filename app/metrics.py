"""Prometheus metrics, made per registry (never per process: tests build many gateways).

Labels come from small sets only: route templates, statuses, stages, and the models and versions
that really answered. Nothing a client can invent becomes a label.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from app.classify.answers import Classification
from app.latencies import Latencies

_SECONDS: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
_BATCH_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The gateway's collectors, and the quantiles of /stats; also the observer of the pool."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.latencies = Latencies(clock)
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

    def request_done(
        self, route: str, method: str, status: int, seconds: float, *, problem: str | None
    ) -> None:
        """One HTTP request was answered, with a problem of that type or without."""
        self._requests.labels(route, method, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)
        if problem is not None:
            self._problems.labels(problem).inc()

    def image_done(self, answer: Classification) -> None:
        """One image was answered."""
        name, version, timing = answer.model.name, str(answer.model.version), answer.timing_ms
        seconds = {
            "decode": timing.decode / 1000,
            "queue": timing.queue / 1000,
            "inference": timing.inference / 1000,
            "total": timing.total / 1000,
        }
        self._images.labels(name, version).inc()
        for stage, value in seconds.items():
            self._stage_seconds.labels(name, version, stage).observe(value)
        self.latencies.record(name, version, seconds)

    def watch(
        self,
        *,
        images: Callable[[], float],
        queued: Callable[[], float],
        in_flight: Callable[[], float],
    ) -> None:
        """Read these whenever somebody asks: images admitted, queued, and batches under way."""
        self._admitted.set_function(images)
        self._queued.set_function(queued)
        self._in_flight.set_function(in_flight)

    def ready(self, *, is_ready: bool) -> None:
        """The last answer of /readyz."""
        self._ready.set(float(is_ready))

    def retried(self) -> None:
        """Observer of the pool."""
        self._retries.inc()

    def ejected(self, address: str) -> None:  # noqa: ARG002 - addresses are no small set
        """Observer of the pool."""
        self._ejections.inc()
