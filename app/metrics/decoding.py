"""The decode workers: how many, what waits for them, and why some were ended."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class DecodingMetrics:
    """The decode pool's observer."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._kills = Counter(
            "gateway_decode_kills_total",
            "Decode workers ended before their image was done: time, abandoned, deadline, "
            "pressure, memory, crash.",
            ("reason",),
            registry=registry,
        )
        for reason in ("time", "abandoned", "deadline", "pressure", "memory", "crash"):
            self._kills.labels(reason)
        self._workers = Gauge("gateway_decode_workers", "Processes that decode.", registry=registry)
        self._waiting = Gauge(
            "gateway_decode_waiting_images", "Images that wait for a worker.", registry=registry
        )
        self._memory = Gauge(
            "gateway_decode_memory_bytes",
            "Memory granted to the images that are being decoded.",
            registry=registry,
        )

    def watch(
        self,
        *,
        workers: Callable[[], float],
        waiting: Callable[[], float],
        memory_bytes: Callable[[], float],
    ) -> None:
        """Read these whenever somebody asks."""
        self._workers.set_function(workers)
        self._waiting.set_function(waiting)
        self._memory.set_function(memory_bytes)

    def decode_killed(self, reason: str) -> None:
        """A worker was ended before its job was."""
        self._kills.labels(reason).inc()
