"""How one version becomes a servable: engine, then batching, then warmup."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from protocol.codes import Code
from serving.core import memory
from serving.core.errors import ServingError
from serving.core.servable import Servable
from serving.engine import (
    TENSORFLOW,
    BatchingParameters,
    Engine,
    EngineOptions,
    OpenVinoOptions,
)
from serving.inference import warmup
from serving.inference.batching import BatchedServable
from serving.inference.records import read_records
from serving.monitoring import Metrics
from serving.options import Options

_NO_CACHE: Final = "none"


class ModelLoader:
    """Loads versions as the flags say."""

    def __init__(
        self,
        engine: Callable[[], Engine],
        options: Options,
        batching: BatchingParameters | None,
        metrics: Metrics,
    ) -> None:
        self._engine = engine
        self._options = options
        self._engine_options = _engine_options(options)
        self._batching = batching
        self._metrics = metrics
        self._running = threading.BoundedSemaphore(batching.num_batch_threads if batching else 1)

    def __call__(self, _model_name: str, _version: int, path: str) -> Servable:
        """Load the version in directory `path`.

        Raises:
            ServingError: the engine's error, or that of a warmup record.
        """
        started = time.monotonic()
        is_loaded = False
        try:
            servable = self._load(path)
            is_loaded = True
        finally:
            seconds = time.monotonic() - started
            self._metrics.observe_load(model_path=path, is_loaded=is_loaded, seconds=seconds)
        return servable

    def _load(self, path: str) -> Servable:
        engine = self._engine()
        servable = engine.load(path, self._engine_options)
        try:
            if self._batching:
                queues = engine.queue_set(self._batching)
                servable = BatchedServable(servable, queues, self._batching, self._running)
            self._warm_up(servable, path)
            memory.give_back()
        except ServingError:
            servable.close()
            raise
        return servable

    def _warm_up(self, servable: Servable, path: str) -> None:
        records = Path(path, warmup.RECORDS_FILE)
        if not self._options.enable_model_warmup or not records.is_file():
            return
        started = time.monotonic()
        code = Code.OK
        try:
            warmup.warm_up(
                servable,
                read_records(records),
                path=str(records),
                iterations=self._options.num_request_iterations_for_warmup,
            )
        except ServingError as error:
            code = error.code
            raise
        finally:
            seconds = time.monotonic() - started
            self._metrics.observe_warmup(model_path=path, code=code, seconds=seconds)


def _engine_options(options: Options) -> EngineOptions:
    both = options.tensorflow_session_parallelism
    return EngineOptions(
        intra_op_threads=both or options.tensorflow_intra_op_parallelism,
        inter_op_threads=both or options.tensorflow_inter_op_parallelism,
        is_bfloat16=options.mixed_precision == "bfloat16",
        tags=frozenset(filter(None, options.saved_model_tags.split(","))),
        openvino=OpenVinoOptions(
            precision=options.openvino_precision,
            streams=options.openvino_streams,
            threads=options.openvino_threads,
            cache_dir=_cache_dir(options),
        ),
    )


def _cache_dir(options: Options) -> str:
    """Nowhere for an engine that compiles nothing."""
    if options.engine == TENSORFLOW or options.openvino_cache_dir == _NO_CACHE:
        return ""
    if options.openvino_cache_dir:
        return options.openvino_cache_dir
    above = os.environ.get("XDG_CACHE_HOME") or Path("~", ".cache").expanduser()
    return str(Path(above, "sightserve", "openvino"))
