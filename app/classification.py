"""Everything between HTTP and the model servers, put together from the settings."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.classify.admission import Admission
from app.classify.batcher import Batcher
from app.classify.cache import Cache
from app.classify.catalog import Catalog
from app.classify.classifier import Classifier
from app.classify.concurrency import ConcurrencyLimit
from app.classify.decoder import Decoder
from app.classify.inference import Inference, RowBatcher, Source
from app.classify.lanes import Lanes
from app.classify.readiness import Readiness, Report
from app.classify.shadow import Mirror
from app.classify.shares import by_model, first_labels
from app.classify.sharing import Sharing
from app.classify.split import Split
from app.classify.timed import Timed
from app.decode.bounds import Bounds
from app.decode.pool import DecodePool, PoolLimits
from app.log import get_logger
from app.metrics.answers import AnswerMetrics
from app.metrics.decoding import DecodingMetrics
from app.metrics.gateway import Metrics
from app.metrics.model_server import ModelServerMetrics
from app.metrics.queueing import QueueingMetrics
from app.model_server.pool import ModelServerPool
from app.settings.answers import AnswerSettings
from app.settings.decoding import DecodingSettings
from app.settings.gateway import Settings
from app.settings.queueing import QueueingSettings
from protocol.schemes import client_class

_FAR_WAITS: Final = 2.0
"""What waits so many times longer than aimed at would be refused in the queue."""


@dataclass(frozen=True, slots=True)
class Classification:
    """The parts that classify; `start` before the first request, `aclose` after the last."""

    server: ModelServerPool
    catalog: Catalog
    decode_pool: DecodePool
    batcher: RowBatcher
    mirror: Mirror
    classifier: Classifier
    admission: Admission
    readiness: Readiness

    async def start(self) -> None:
        """Start the decode workers, connect to the model servers."""
        self.decode_pool.start()
        await self.server.start()

    async def aclose(self) -> None:
        """Cancel what is in flight, close what is open."""
        await self.mirror.aclose()
        await self.batcher.aclose()
        await self.readiness.aclose()
        await self.catalog.aclose()
        await self.server.aclose()
        self.decode_pool.close()


def build_classification(
    settings: Settings,
    metrics: Metrics,
    clock: Callable[[], float],
    lag: Callable[[], float],
) -> Classification:
    """Build the parts; nothing runs and nothing is connected yet.

    `lag` says how late the event loop is, in seconds.
    """
    server = _server(settings, metrics.model_server)
    shares = by_model(settings.split, settings.model_name)
    catalog = Catalog(
        server,
        settings.models_file,
        clock=clock,
        first_labels=first_labels(shares),
        quorum=settings.version_quorum,
    )
    decode_pool = _decode_pool(settings, metrics.decoding, clock)
    decoder = Decoder(decode_pool, row_encoding=server.row_encoding, clock=clock)
    batcher = _batcher(settings, Lanes(server, catalog), metrics.queueing, clock)
    limit = _limit(settings, batcher, clock)
    admission = Admission(limit, max_images=settings.max_queue, clock=clock, lag=lag)
    inference = Inference(server, catalog, decoder, batcher, clock=clock)
    mirror = Mirror(
        inference,
        by_model(settings.shadow, settings.model_name),
        timeout_seconds=settings.default_timeout_seconds,
        clock=clock,
        is_busy=lambda: batcher.queued > 0 or batcher.in_flight >= server.slots(),
        observer=metrics.versions,
        log=get_logger(),
    )
    timed = Timed(mirror if settings.shadow else inference, clock=clock, on_time=admission.observe)
    source = _before(timed, catalog, settings, metrics.answers, clock)
    on_split = metrics.versions
    split = Split(shares, clock=clock, random=random.random, observer=on_split) if shares else None
    classifier = Classifier(catalog, source, split, clock=clock, on_answer=metrics.images.done)
    metrics.queueing.watch(
        images=lambda: admission.images,
        limit=lambda: limit.images,
        lag=lag,
        queued=lambda: batcher.queued,
        in_flight=lambda: batcher.in_flight,
    )
    readiness = Readiness(
        server,
        catalog,
        settings.models,
        clock=clock,
        on_change=_log_readiness,
        trouble=lambda: decoder.trouble,
    )
    server.prove = readiness.prove
    metrics.model_server.watch(
        standings=server.standings,
        current=lambda: {name: catalog.current(name) for name in settings.models},
    )
    metrics.images.watch_versions(lambda name, version: version in catalog.current(name))
    metrics.process.watch_workers(lambda: decode_pool.pids)
    return Classification(
        server, catalog, decode_pool, batcher, mirror, classifier, admission, readiness
    )


def _server(settings: Settings, metrics: ModelServerMetrics) -> ModelServerPool:
    return ModelServerPool(
        settings.model_server_url,
        client_class(settings.model_server_url.scheme),
        calls_per_address=settings.max_in_flight_batches,
        observer=metrics,
        resolve_interval_seconds=settings.resolve_interval_seconds,
        tls=settings.load_model_server_tls(),
    )


def _batcher(
    settings: QueueingSettings,
    lanes: Lanes,
    metrics: QueueingMetrics,
    clock: Callable[[], float],
) -> RowBatcher:
    return Batcher(
        lanes.ask,
        max_batch_size=settings.max_batch_size,
        max_batch_seconds=settings.max_batch_seconds,
        queue_seconds=settings.target_queue_seconds,
        slots=lanes.slots,
        clock=clock,
        on_batch=metrics.batch_size.observe,
    )


def _limit(
    settings: QueueingSettings, batcher: RowBatcher, clock: Callable[[], float]
) -> ConcurrencyLimit:
    return ConcurrencyLimit(
        most=lambda: _most_images(batcher, settings),
        floor=lambda: batcher.items_to_stay_busy,
        queue_seconds=settings.target_queue_seconds,
        clock=clock,
    )


def _before(
    source: Source,
    catalog: Catalog,
    settings: AnswerSettings,
    metrics: AnswerMetrics,
    clock: Callable[[], float],
) -> Source:
    """Put before the computation what is configured; nothing costs nothing."""
    if settings.share_in_flight:
        source = Sharing(source, catalog, on_shared=metrics.shared)
    if settings.cache_bytes:
        cache = source = Cache(
            source,
            catalog,
            max_bytes=settings.cache_bytes,
            max_age_seconds=settings.cache_seconds,
            clock=clock,
            on_lookup=metrics.looked_up,
        )
        metrics.watch_cache(lambda: cache.bytes)
    return source


def _decode_pool(
    settings: DecodingSettings, metrics: DecodingMetrics, clock: Callable[[], float]
) -> DecodePool:
    pool = DecodePool(
        PoolLimits(
            workers=settings.decode_workers,
            memory_bytes=settings.decode_memory_bytes,
        ),
        Bounds(
            max_pixels=settings.max_image_pixels,
            max_memory_bytes=settings.max_image_memory_bytes,
            cpu_seconds=settings.decode_timeout_seconds,
        ),
        clock=clock,
        log=get_logger().warning,
        observer=metrics,
    )
    metrics.watch(
        workers=lambda: pool.workers,
        waiting=lambda: pool.waiting,
        memory_bytes=lambda: pool.budget.held_bytes,
    )
    return pool


def _most_images(batcher: RowBatcher, settings: QueueingSettings) -> int:
    """What gets through within twice the wait that is aimed at, as far as that is known."""
    predicted = batcher.items_within(_FAR_WAITS * settings.target_queue_seconds)
    return settings.max_queue if predicted is None else min(settings.max_queue, predicted)


def _log_readiness(report: Report) -> None:
    """One line when models start or stop answering or another version does; not one per probe."""
    versions = {model.name: model.version for model in report.models if model.is_ready}
    if report.is_ready:
        get_logger().info("ready", versions=versions)
    else:
        get_logger().warning("not ready", versions=versions, detail=report.detail)
