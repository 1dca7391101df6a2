"""Images that were answered, and the time of each stage, also as the quantiles of /stats."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.classify.answers import Answered
from app.latencies import Latencies
from app.metrics.buckets import SECONDS
from app.rate import Rate


class ImageMetrics:
    """Whoever answers an image tells it here."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float]) -> None:
        self.latencies = Latencies(clock)
        self.rate = Rate(clock)
        self._stage_seconds = Histogram(
            "gateway_stage_seconds",
            "Time of one image in one stage: decode, queue, inference, total.",
            ("model", "version", "stage"),
            buckets=SECONDS,
            registry=registry,
        )
        self._images = Counter(
            "gateway_images_total",
            "Images answered, by model and version.",
            ("model", "version"),
            registry=registry,
        )

    def done(self, answered: Answered) -> None:
        """One image was answered; what came from the cache went through no stage."""
        answer = answered.classification
        name, version, timing = answer.model.name, str(answer.model.version), answer.timing_ms
        self._images.labels(name, version).inc()
        self.rate.add()
        if answered.age_seconds is not None:
            return
        seconds = {
            "decode": timing.decode / 1000,
            "queue": timing.queue / 1000,
            "inference": timing.inference / 1000,
            "total": timing.total / 1000,
        }
        for stage, value in seconds.items():
            self._stage_seconds.labels(name, version, stage).observe(value)
        self.latencies.record(name, answer.model.version, seconds)
