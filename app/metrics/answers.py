"""Answers that cost no computation: kept ones, and those shared with an equal image."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class AnswerMetrics:
    """Told by the cache of answers, and by whoever shares one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lookups = Counter(
            "gateway_cache_total",
            "Images looked up in the cache of answers: hit or miss.",
            ("result",),
            registry=registry,
        )
        self._bytes = Gauge(
            "gateway_cache_bytes", "Memory of the answers that are kept.", registry=registry
        )
        self._shared = Counter(
            "gateway_shared_images_total",
            "Images answered by the work for an equal one that was in flight.",
            registry=registry,
        )

    def looked_up(self, result: str) -> None:
        """An image was looked up in the cache: hit or miss."""
        self._lookups.labels(result).inc()

    def watch_cache(self, size: Callable[[], float]) -> None:
        """Read the bytes of the cache whenever somebody asks."""
        self._bytes.set_function(size)

    def shared(self) -> None:
        """An image got the answer of an equal one."""
        self._shared.inc()
