"""Requests, connections and keys: what the edge sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.errors import Refusal
from app.metrics.buckets import SECONDS


class HttpMetrics:
    """Whoever answers or refuses a request or a connection tells it here."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._tally: dict[tuple[str, str, int, str, Refusal | None], int] = {}
        """Requests refused since the counters were last read."""
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        """To look series up by their labels costs more than to count."""
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
            buckets=SECONDS,
            registry=registry,
        )
        self._problems = Counter(
            "gateway_problems_total", "Problems answered, by type.", ("type",), registry=registry
        )
        self._refusals = Counter(
            "gateway_refusals_total",
            "Requests, and files of batch requests, that were refused though nothing was wrong "
            "with them, by reason: " + ", ".join(get_args(Refusal)) + ".",
            ("reason",),
            registry=registry,
        )
        for refusal in get_args(Refusal):
            self._refusals.labels(refusal)
        self._connections = Gauge(
            "gateway_connections", "Client connections that are open.", registry=registry
        )
        self._connections_refused = Counter(
            "gateway_connections_refused_total",
            "Connections closed because there were too many: of all (total), of one client "
            "(client), or idle ones that made room (idle).",
            ("reason",),
            registry=registry,
        )
        for reason in ("total", "client", "idle"):
            self._connections_refused.labels(reason)

    def request_done(
        self,
        route: str,
        method: str,
        status: int,
        seconds: float,
        *,
        problem: str | None,
        refusal: Refusal | None,
    ) -> None:
        """One HTTP request was answered, with a problem of that type or without."""
        key = (route, method, status)
        if (series := self._series.get(key)) is None:
            series = self._series[key] = (
                self._requests.labels(route, method, str(status)),
                self._request_seconds.labels(route),
            )
        requests, request_seconds = series
        requests.inc()
        request_seconds.observe(seconds)
        if problem is not None:
            self._problems.labels(problem).inc()
        self.refused(refusal)

    def request_refused(
        self, route: str, method: str, status: int, *, problem: str, refusal: Refusal | None
    ) -> None:
        """One HTTP request was answered before it reached the application."""
        key = (route, method, status, problem, refusal)
        self._tally[key] = self._tally.get(key, 0) + 1

    def add_refused(self) -> None:
        """Bring the counters up to date; for whoever reads them.

        Three counters with their locks would be a twentieth of what a refusal costs.
        """
        tally, self._tally = self._tally, {}
        for (route, method, status, problem, refusal), count in tally.items():
            self._requests.labels(route, method, str(status)).inc(count)
            self._problems.labels(problem).inc(count)
            if refusal is not None:
                self._refusals.labels(refusal).inc(count)

    def refused(self, refusal: Refusal | None) -> None:
        """A request, or a file of a batch, was refused for that reason; None: it was not."""
        if refusal is not None:
            self._refusals.labels(refusal).inc()

    def connection_refused(self, reason: str) -> None:
        """A connection was closed because there were too many: total, client or idle."""
        self._connections_refused.labels(reason).inc()

    def watch_connections(self, count: Callable[[], float]) -> None:
        """Read the number of open connections whenever somebody asks."""
        self._connections.set_function(count)

    def watch_keys(self, *, count: Callable[[], float], is_stale: Callable[[], float]) -> None:
        """Read these whenever somebody asks; without keys there are no such metrics."""
        Gauge("gateway_api_keys", "API keys in force.", registry=self._registry).set_function(count)
        Gauge(
            "gateway_api_keys_stale",
            "1 while the file of API keys cannot be used and the keys of before are in force.",
            registry=self._registry,
        ).set_function(is_stale)
