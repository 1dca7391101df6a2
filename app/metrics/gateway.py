"""All of the gateway's metrics, made per registry (never per process: tests build many gateways).

Labels come from small sets only: route templates, statuses, stages, and the models and versions
that really answered. Nothing a client can invent becomes a label.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from app.metrics.answers import AnswerMetrics
from app.metrics.decoding import DecodingMetrics
from app.metrics.http import HttpMetrics
from app.metrics.images import ImageMetrics
from app.metrics.model_server import ModelServerMetrics
from app.metrics.process import ProcessMetrics
from app.metrics.queueing import QueueingMetrics
from app.metrics.versions import VersionMetrics

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One registry, and the collectors of each part in it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        registry = self._registry = CollectorRegistry()
        self.http = HttpMetrics(registry)
        self.images = ImageMetrics(registry, clock)
        self.queueing = QueueingMetrics(registry)
        self.decoding = DecodingMetrics(registry)
        self.answers = AnswerMetrics(registry)
        self.versions = VersionMetrics(registry)
        self.model_server = ModelServerMetrics(registry)
        self.process = ProcessMetrics(registry)

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        self.http.add_refused()
        return generate_latest(self._registry)
