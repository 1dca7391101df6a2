"""The model servers: calls made again, addresses out of use, and whether the models answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.model_server.replica import Standing


class ModelServerMetrics:
    """The observer of the pool of model servers, and of readiness."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._replicas = _Replicas()
        registry.register(self._replicas)
        self._retries = Counter(
            "gateway_model_server_retries_total", "Images sent again.", registry=registry
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
        """An image is sent again."""
        self._retries.inc()

    def ejected(self, address: str) -> None:  # noqa: ARG002 - addresses are no small set
        """An address was taken out of use."""
        self._ejections.inc()

    def ready(self, *, is_ready: bool) -> None:
        """The last answer of /readyz."""
        self._ready.set(float(is_ready))

    def watch(
        self,
        *,
        standings: Callable[[], Mapping[Standing, int]],
        current: Callable[[], Mapping[str, Mapping[int, int]]],
    ) -> None:
        """Show how many addresses stand how, and what they serve, as of each scrape.

        Args:
            standings: addresses by what is thought of them.
            current: by model and version, how many answer with it where a request names none.
        """
        self._replicas.standings = standings
        self._replicas.current = current


class _Replicas(Collector):
    """Read when somebody asks: versions come and go, and no series must outlive them."""

    def __init__(self) -> None:
        self.standings: Callable[[], Mapping[Standing, int]] = dict
        self.current: Callable[[], Mapping[str, Mapping[int, int]]] = dict

    def collect(self) -> Iterator[Metric]:
        """See `Collector.collect`."""
        states = GaugeMetricFamily(
            "gateway_model_server_replicas",
            "Addresses of model servers, by what is thought of them.",
            labels=("state",),
        )
        standings = self.standings()
        for standing in Standing:
            states.add_metric((standing.value,), standings.get(standing, 0))
        yield states
        versions = GaugeMetricFamily(
            "gateway_model_version_replicas",
            "Addresses that answer with this version where a request names none.",
            labels=("model", "version"),
        )
        for model, counts in self.current().items():
            for version, count in counts.items():
                versions.add_metric((model, str(version)), count)
        yield versions
