"""Puts the parts together and runs them: the only place where objects are built.

    options ─► config ─► source ─► manager ─► engine
                                      ▲
                        inference ────┘ ◄── gRPC, REST

Ports open when every configured model has an AVAILABLE version.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable

from serving.config_files import read_batching_parameters, read_metrics_path, read_server_config
from serving.core import memory
from serving.core.addresses import host_and_port
from serving.core.errors import invalid_argument
from serving.core.labels import LabelMap
from serving.core.manager import Manager
from serving.core.model_config import ServerConfig
from serving.core.reload import ConfigFilePoller, Configuration
from serving.core.retries import Load, RetryPolicy
from serving.core.source import FileSystemSource
from serving.engine import BatchingParameters, Engine, import_engine
from serving.grpc.metering import metered
from serving.grpc.server import GrpcOptions, GrpcServer
from serving.grpc.services import Services
from serving.inference.loading import ModelLoader
from serving.inference.use_cases import Inference
from serving.monitoring import Metrics
from serving.options import Options
from serving.rest.app import AsgiApp, create_rest_app
from serving.rest.server import RestServer

_log = logging.getLogger(__name__)

_MICROS = 1_000_000
_MILLIS = 1_000


class Server:
    """The model server of one process: `start`, then `stop` from another thread or afterwards."""

    def __init__(
        self,
        options: Options,
        server_config: ServerConfig,
        engine: Callable[[], Engine] | None = None,
    ) -> None:
        """Check the options; nothing is loaded, nothing listens and the engine sleeps yet.

        Raises:
            ServingError: what to print before exiting.
        """
        if options.rest_api_port and options.rest_api_port == options.port:
            raise invalid_argument("--rest_api_port cannot be same as --port.")
        self._options = options
        self._config = server_config
        self._metrics = Metrics(is_served=self._knows)
        self._metrics_path = read_metrics_path(options.monitoring_config_file)
        self._engine = engine or functools.partial(import_engine, options.engine)
        load = ModelLoader(self._engine, options, _batching(options), self._metrics)
        self._manager = _manager(options, load)
        self._source = FileSystemSource(
            self._manager.set_aspired_versions, options.file_system_poll_wait_seconds
        )
        labels = LabelMap()
        self._configuration = Configuration(
            self._manager,
            self._source,
            labels,
            allow_labels_for_unavailable=options.allow_version_labels_for_unavailable_models,
        )
        self._inference = Inference(self._manager, labels, self._metrics)
        self._lock = threading.Lock()
        self._is_stopping = False
        self._poller: ConfigFilePoller | None = None
        self._grpc: GrpcServer | None = None
        self._rest: RestServer | None = None

    def start(self) -> None:
        """Wake the engine, load every model, then listen. Waits as long as it takes.

        Raises:
            ServingError: an engine that is not installed, a label that may not be assigned, a port
                that is taken.
        """
        self._engine()
        memory.keep_what_is_loaded()
        self._source.start()
        self._configuration.apply(self._config)
        with self._lock:
            if not self._is_stopping:
                self._listen()
                self._poll_config()

    def stop(self) -> bool:
        """Drain, then free everything; False when requests were still running at the deadline."""
        with self._lock:
            self._is_stopping = True
        self._manager.cancel()  # a reload that waits for its model would hold up the drain
        deadline = time.monotonic() + self._options.drain_timeout_seconds
        is_drained = self._drain(deadline)
        self._manager.stop()
        self._source.stop()
        if self._poller:
            self._poller.stop()
        return is_drained

    def _listen(self) -> None:
        options = self._options
        services = Services(
            self._inference,
            self._configuration,
            as_content=options.enable_serialization_as_tensor_content,
            may_reload=options.enable_reload_config,
        )
        methods = metered(services.methods(), self._metrics)
        self._grpc = GrpcServer(methods, _grpc_options(options))
        if options.rest_api_port:
            self._rest = RestServer(self._rest_app(), options.host, options.rest_api_port)
        self._grpc.start()
        _log.info("Running gRPC ModelServer at %s ...", host_and_port(options.host, options.port))
        if self._rest:
            self._rest.start()
            where = host_and_port(options.host, options.rest_api_port)
            _log.info("Exporting HTTP/REST API at:%s ...", where)

    def _knows(self, model_name: str) -> bool:
        return self._manager.knows(model_name)

    def _poll_config(self) -> None:
        options = self._options
        if options.model_config_file and options.model_config_file_poll_wait_seconds > 0:
            self._poller = ConfigFilePoller(
                options.model_config_file,
                options.model_config_file_poll_wait_seconds,
                self._configuration,
                read_server_config,
            )
            self._poller.start()

    def _rest_app(self) -> AsgiApp:
        options = self._options
        return create_rest_app(
            self._inference,
            metrics=self._metrics,
            metrics_path=self._metrics_path,
            cors=options.rest_api_enable_cors_support,
            timeout_seconds=options.rest_api_timeout_in_ms / _MILLIS,
            max_workers=options.rest_threads,
        )

    def _drain(self, deadline: float) -> bool:
        if self._rest:
            self._rest.stop()
        is_drained = True
        if self._grpc:
            left = deadline - time.monotonic()
            is_drained = self._grpc.stop(left).wait(left + 1)
        if self._rest:
            is_drained &= self._rest.join(max(0.0, deadline - time.monotonic()))
        return is_drained and time.monotonic() < deadline


def _manager(options: Options, load: Load) -> Manager:
    cores = os.cpu_count() or 1
    return Manager(
        load,
        retry=RetryPolicy(
            options.max_num_load_retries, options.load_retry_interval_micros / _MICROS
        ),
        max_parallel_loads=options.num_load_threads or cores,
        max_parallel_unloads=options.num_unload_threads or cores,
    )


def _batching(options: Options) -> BatchingParameters | None:
    if options.enable_batching:
        return read_batching_parameters(options.batching_parameters_file)
    if options.batching_parameters_file:
        raise invalid_argument(
            "server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true."
        )
    return None


def _grpc_options(options: Options) -> GrpcOptions:
    return GrpcOptions(
        host=options.host,
        port=options.port,
        socket_path=options.grpc_socket_path,
        max_threads=options.grpc_threads,
        ssl_config_file=options.ssl_config_file,
        channel_arguments=options.grpc_channel_arguments,
        has_health_service=options.enable_grpc_healthcheck_service,
    )
