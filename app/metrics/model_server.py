"""The model servers: calls made again, addresses out of use, and whether the models answer."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ModelServerMetrics:
    """The observer of the pool of model servers, and of readiness."""

    def __init__(self, registry: CollectorRegistry) -> None:
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

    def retried(self) -> None:
        """A call was made a second time."""
        self._retries.inc()

    def ejected(self, address: str) -> None:  # noqa: ARG002 - addresses are no small set
        """An address was taken out of use."""
        self._ejections.inc()

    def ready(self, *, is_ready: bool) -> None:
        """The last answer of /readyz."""
        self._ready.set(float(is_ready))
