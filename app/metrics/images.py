"""Images that were answered, and the time of each stage, also as the quantiles of /stats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.classify.answers import Answered
from app.latencies import Latencies
from app.metrics.buckets import SECONDS
from app.metrics.top_classes import IsServed, TopClasses
from app.rate import Rate


@dataclass(frozen=True, slots=True)
class _OfVersion:
    """One version's series: to look them up by their labels costs more than to count."""

    images: Counter
    stages: dict[str, Histogram]


class ImageMetrics:
    """Whoever answers an image tells it here."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float]) -> None:
        self.latencies = Latencies(clock)
        self.rate = Rate(clock)
        self._of_version: dict[tuple[str, int], _OfVersion] = {}
        self._top_classes = TopClasses(clock)
        registry.register(self._top_classes)
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

    def watch_versions(self, is_served: IsServed) -> None:
        """Keep what is known about versions for as long as they are served."""
        self._top_classes.is_served = is_served

    def done(self, answered: Answered) -> None:
        """One image was answered; what came from the cache went through no stage."""
        answer = answered.classification
        name, version, timing = answer.model.name, answer.model.version, answer.timing_ms
        series = self._of_version.get((name, version)) or self._series(name, version)
        series.images.inc()
        self.rate.add()
        if answered.best is not None:
            self._top_classes.count(name, version, answered.best)
        if answered.age_seconds is not None:
            return
        seconds = {
            "decode": timing.decode / 1000,
            "queue": timing.queue / 1000,
            "inference": timing.inference / 1000,
            "total": timing.total / 1000,
        }
        for stage, value in seconds.items():
            series.stages[stage].observe(value)
        self.latencies.record(name, version, seconds)

    def _series(self, model: str, version: int) -> _OfVersion:
        names = (model, str(version))
        series = self._of_version[model, version] = _OfVersion(
            self._images.labels(*names),
            {
                stage: self._stage_seconds.labels(*names, stage)
                for stage in ("decode", "queue", "inference", "total")
            },
        )
        return series
