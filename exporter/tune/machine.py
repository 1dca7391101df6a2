"""The machine at hand: model servers and gateways as configurations want them, under load.

Those that are compared run side by side: who is not asked takes no time from who is.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from contract import signatures as names
from exporter.batches import ask_in_batches
from exporter.errors import FailedError, first_line
from exporter.proof.model_server_process import (
    Endpoints,
    command_of,
    embedded_command,
    running_model_server,
)
from exporter.settings import Settings
from exporter.store.inventory import PublishedVersion
from exporter.tune.configuration import Configuration, Engine, ModelServerSettings
from exporter.tune.gateway_process import running_gateway
from exporter.tune.load import Load
from exporter.tune.rows import Burst
from protocol.blocking import BlockingClient
from protocol.client import ProtocolError
from protocol.models import ModelSpec

_PROOF_BATCH = 8


class Machine(Protocol):
    """What the search measures with; errors are ExporterErrors that say why it cannot be done."""

    def probabilities(self, server: ModelServerSettings) -> npt.NDArray[np.float32]:
        """A model server's answers [N,C] to all pictures of the proof."""
        ...

    def calls(self, configuration: Configuration, seconds: float) -> Burst:
        """Calls of a model server in a closed loop."""
        ...

    def closed(self, configuration: Configuration, clients: int, seconds: float) -> Burst:
        """Requests through a gateway in a closed loop."""
        ...

    def offered(self, configuration: Configuration, rate: float, seconds: float) -> Burst:
        """Requests through a gateway at so many a second, whether answered or not."""
        ...

    def keep(self, configurations: Collection[Configuration]) -> None:
        """End what these do not need."""
        ...


class ThisMachine:
    """Starts what is not running yet; a context manager that ends all of it."""

    def __init__(
        self,
        version: PublishedVersion,
        pixels: npt.NDArray[np.uint8],
        settings: Settings,
        load: Load,
        folder: Path,
        cores: int,
    ) -> None:
        """Start nothing yet.

        Args:
            version: what is served.
            pixels: uint8 [N,H,W,3] of the proof.
            settings: commands and timeouts.
            load: a running load generator.
            folder: an empty one for files that servers read.
            cores: of this machine.
        """
        self._version = version
        self._pixels = pixels
        self._settings = settings
        self._load = load
        self._folder = folder
        self._cores = cores
        self._servers: dict[ModelServerSettings, tuple[ExitStack, Endpoints]] = {}
        self._gateways: dict[Configuration, tuple[ExitStack, int]] = {}
        base_path = folder / "models"
        base_path.mkdir()
        link = base_path / str(version.version)
        link.symlink_to(version.path.resolve(), target_is_directory=True)
        self._base_path = base_path

    def probabilities(self, server: ModelServerSettings) -> npt.NDArray[np.float32]:
        """See `Machine`."""
        spec = ModelSpec(self._version.model_name, self._version.version)
        url, timeout = self._server(server).grpc_url, self._settings.request_timeout_seconds
        with BlockingClient(url, timeout_seconds=timeout) as client:

            def answer(images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
                outputs = client.predict(spec, names.IMAGES, images).outputs
                return np.asarray(outputs[names.PROBABILITIES], dtype=np.float32)

            try:
                return ask_in_batches(answer, self._pixels, _PROOF_BATCH)
            except (ProtocolError, KeyError) as error:
                raise FailedError(f"it does not classify: {first_line(error)}") from error

    def calls(self, configuration: Configuration, seconds: float) -> Burst:
        """See `Machine`."""
        return self._load.run(
            "calls",
            seconds,
            url=self._server(configuration.server).grpc_url,
            model=self._version.model_name,
            version=self._version.version,
            batch_size=configuration.batch_size,
            in_flight=configuration.in_flight,
        )

    def closed(self, configuration: Configuration, clients: int, seconds: float) -> Burst:
        """See `Machine`."""
        port = self._gateway(configuration)
        return self._load.run("closed", seconds, port=port, clients=clients)

    def offered(self, configuration: Configuration, rate: float, seconds: float) -> Burst:
        """See `Machine`."""
        port = self._gateway(configuration)
        return self._load.run("open", seconds, port=port, rate=rate)

    def keep(self, configurations: Collection[Configuration]) -> None:
        """See `Machine`."""
        for gone in [each for each in self._gateways if each not in configurations]:
            self._gateways.pop(gone)[0].close()
        needed = {each.server for each in configurations}
        for unused in [each for each in self._servers if each not in needed]:
            self._servers.pop(unused)[0].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.keep(())

    def _server(self, server: ModelServerSettings) -> Endpoints:
        if server not in self._servers:
            stack = ExitStack()
            started = running_model_server(
                self._command(server.engine),
                self._base_path,
                self._version.model_name,
                start_timeout_seconds=self._settings.model_server_start_timeout_seconds,
                further_flags=tuple(server.flags(str(self._batching_file(server)))),
            )
            self._servers[server] = (stack, stack.enter_context(started))
        return self._servers[server][1]

    def _batching_file(self, server: ModelServerSettings) -> Path:
        file = self._folder / f"batching-{server.server_batch_size}-{server.parallel}.config"
        file.write_text(server.batching_parameters(self._cores), encoding="utf-8")
        return file

    def _command(self, engine: Engine) -> list[str]:
        if engine == "openvino":
            return embedded_command()
        return command_of(self._settings.model_server)

    def _gateway(self, configuration: Configuration) -> int:
        if configuration not in self._gateways:
            stack = ExitStack()
            started = running_gateway(
                self._server(configuration.server).grpc_url,
                self._version.model_name,
                configuration.gateway_environment(),
                start_timeout_seconds=self._settings.model_server_start_timeout_seconds,
            )
            self._gateways[configuration] = (stack, stack.enter_context(started))
        return self._gateways[configuration][1]
