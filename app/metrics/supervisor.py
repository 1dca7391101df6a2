"""What the supervisor of several workers counts, and its own process."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector
from prometheus_client.exposition import generate_latest


class SupervisorMetrics:
    """Its registry; there is none where one process is all."""

    def __init__(self, workers: Callable[[], float]) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Gauge(
            "gateway_workers", "Gateway processes that run behind the port.", registry=registry
        ).set_function(workers)
        self._restarts = Counter(
            "gateway_worker_restarts",
            "Gateway processes that ended by themselves and were started again.",
            registry=registry,
        )

    def restarted(self) -> None:
        """A worker is started in place of one that ended."""
        self._restarts.inc()

    def exposition(self) -> str:
        """The text format."""
        return generate_latest(self._registry).decode()
