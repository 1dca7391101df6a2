"""Prometheus metrics, made per registry (never per process: tests build many gateways).

Labels come from small sets only: route templates, statuses, stages, and the models and versions
that really answered. Nothing a client can invent becomes a label.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from app.classify.answers import Answered
from app.classify.shadow import Comparison, Fate
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
        self._refused: dict[tuple[str, str, int, str], tuple[Counter, Counter]] = {}
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
        self.cache_lookups = Counter(
            "gateway_cache_total",
            "Images looked up in the cache of answers: hit or miss.",
            ("result",),
            registry=registry,
        )
        self.cache_bytes = Gauge(
            "gateway_cache_bytes", "Memory of the answers that are kept.", registry=registry
        )
        self.shared = Counter(
            "gateway_shared_images_total",
            "Images answered by the work for an equal one that was in flight.",
            registry=registry,
        )
        self._assigned = Counter(
            "gateway_split_total",
            "Images by the label that a split chose for them.",
            ("model", "label"),
            registry=registry,
        )
        self._fallbacks = Counter(
            "gateway_split_fallbacks_total",
            "Images whose label no version had: another one answered.",
            ("model", "label"),
            registry=registry,
        )
        self._mirrored = Counter(
            "gateway_shadow_total",
            "Mirrored images: compared, dropped (busy), failed, or same_version.",
            ("model", "label", "fate"),
            registry=registry,
        )
        self._agreement = Counter(
            "gateway_shadow_agreement_total",
            "Images compared, by whether the mirrored version's first class is the same.",
            ("model", "version", "mirrored_version", "is_agreed"),
            registry=registry,
        )
        self._mirrored_seconds = Histogram(
            "gateway_shadow_seconds",
            "Model server's time for the compared images, by version.",
            ("model", "version"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._kills = Counter(
            "gateway_decode_kills_total",
            "Decode workers ended before their image was done: time, abandoned, deadline, "
            "pressure, memory, crash.",
            ("reason",),
            registry=registry,
        )
        for reason in ("time", "abandoned", "deadline", "pressure", "memory", "crash"):
            self._kills.labels(reason)
        self._decode_workers = Gauge(
            "gateway_decode_workers", "Processes that decode.", registry=registry
        )
        self._decode_waiting = Gauge(
            "gateway_decode_waiting_images", "Images that wait for a worker.", registry=registry
        )
        self._decode_memory = Gauge(
            "gateway_decode_memory_bytes",
            "Memory granted to the images that are being decoded.",
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
        self._limit = Gauge(
            "gateway_concurrency_limit",
            "Images that may be in progress; it follows the time that they wait.",
            registry=registry,
        )
        self._lag = Gauge(
            "gateway_event_loop_lag_seconds",
            "How late the event loop was lately: everything waits for it.",
            registry=registry,
        )
        self._saturation = Gauge(
            "gateway_saturation",
            "Images in progress as a share of those that may be; at 1 more are refused.",
            registry=registry,
        )
        self._retries = Counter(
            "gateway_model_server_retries_total", "Calls made a second time.", registry=registry
        )
        self._ejections = Counter(
            "gateway_model_server_ejections_total",
            "Model server addresses taken out of use.",
            registry=registry,
        )
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

    def request_refused(self, route: str, method: str, status: int, *, problem: str) -> None:
        """One HTTP request was answered before it reached the application."""
        key = (route, method, status, problem)
        counters = self._refused.get(key)
        if counters is None:  # looking for them each time would be a twentieth of a refusal
            requests = self._requests.labels(route, method, str(status))
            counters = self._refused[key] = (requests, self._problems.labels(problem))
        for counter in counters:
            counter.inc()

    def connection_refused(self, reason: str) -> None:
        """A connection was closed because there were too many: total, client or idle."""
        self._connections_refused.labels(reason).inc()

    def watch_connections(self, count: Callable[[], float]) -> None:
        """Read the number of open connections whenever somebody asks."""
        self._connections.set_function(count)

    def image_done(self, answered: Answered) -> None:
        """One image was answered; what came from the cache went through no stage."""
        answer = answered.classification
        name, version, timing = answer.model.name, str(answer.model.version), answer.timing_ms
        self._images.labels(name, version).inc()
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
        self.latencies.record(name, version, seconds)

    def watch(
        self,
        *,
        images: Callable[[], float],
        limit: Callable[[], float],
        lag: Callable[[], float],
        queued: Callable[[], float],
        in_flight: Callable[[], float],
    ) -> None:
        """Read these whenever somebody asks.

        Images admitted, how many may be, how late the event loop is, images queued, and batches
        under way.
        """
        self._admitted.set_function(images)
        self._limit.set_function(limit)
        self._lag.set_function(lag)
        self._saturation.set_function(lambda: images() / limit())
        self._queued.set_function(queued)
        self._in_flight.set_function(in_flight)

    def watch_keys(self, *, count: Callable[[], float], is_stale: Callable[[], float]) -> None:
        """Read these whenever somebody asks; without keys there are no such metrics."""
        Gauge("gateway_api_keys", "API keys in force.", registry=self._registry).set_function(count)
        Gauge(
            "gateway_api_keys_stale",
            "1 while the file of API keys cannot be used and the keys of before are in force.",
            registry=self._registry,
        ).set_function(is_stale)

    def watch_decoding(
        self,
        *,
        workers: Callable[[], float],
        waiting: Callable[[], float],
        memory_bytes: Callable[[], float],
    ) -> None:
        """Read these whenever somebody asks."""
        self._decode_workers.set_function(workers)
        self._decode_waiting.set_function(waiting)
        self._decode_memory.set_function(memory_bytes)

    def decode_killed(self, reason: str) -> None:
        """Observer of the decode pool."""
        self._kills.labels(reason).inc()

    def ready(self, *, is_ready: bool) -> None:
        """The last answer of /readyz."""
        self._ready.set(float(is_ready))

    def retried(self) -> None:
        """Observer of the pool."""
        self._retries.inc()

    def ejected(self, address: str) -> None:  # noqa: ARG002 - addresses are no small set
        """Observer of the pool."""
        self._ejections.inc()

    def assigned(self, model: str, label: str) -> None:
        """Observer of the split."""
        self._assigned.labels(model, label).inc()

    def fell_back(self, model: str, label: str) -> None:
        """Observer of the split."""
        self._fallbacks.labels(model, label).inc()

    def mirrored(self, model: str, label: str, fate: Fate) -> None:
        """Observer of the shadow."""
        self._mirrored.labels(model, label, fate).inc()

    def compared(self, comparison: Comparison) -> None:
        """Observer of the shadow."""
        model, version = comparison.model, str(comparison.version)
        mirrored = str(comparison.mirrored_version)
        is_agreed = str(comparison.is_agreed).lower()
        self._agreement.labels(model, version, mirrored, is_agreed).inc()
        self._mirrored_seconds.labels(model, version).observe(comparison.seconds)
        self._mirrored_seconds.labels(model, mirrored).observe(comparison.mirrored_seconds)
