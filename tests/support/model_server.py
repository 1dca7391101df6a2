"""The embedded model server as a process, for any test that needs one.

with running_model_server(tmp_path, "--model_name=m", f"--model_base_path={models}/m") as server:
    httpx.get(f"{server.rest_url}/v1/models/m")
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from protocol.blocking import BlockingClient
from protocol.models import State
from tests.support.processes import Process, answers, free_ports, python_module, wait_until

_ATTEMPTS = 3


@dataclass(frozen=True)
class RunningModelServer:
    """A server that answers (or, when not awaited, one that was started)."""

    process: Process
    grpc_port: int
    rest_port: int

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """Standard output and error so far."""
        return self.process.output

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.rest_port}"

    def url(self, protocol: str) -> str:
        """What GATEWAY_MODEL_SERVER_URL takes; protocol is grpc or http."""
        return f"grpc://{self.grpc_address}" if protocol == "grpc" else self.rest_url

    @property
    def is_listening(self) -> bool:
        """The REST port is open (the last of the two to open)."""
        return answers(f"{self.rest_url}/", status=404)

    def stop(self, seconds: float = 60.0) -> int:
        """SIGTERM, wait, return the exit code."""
        self.process.send(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def running_model_server(
    directory: Path,
    *flags: str,
    is_awaited: bool = True,
    seconds: float = 180.0,
    ports: tuple[int, int] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[RunningModelServer]:
    """Start `python -m serving` with these flags; its log goes to `directory`.

    `environment` is added to this process's own.

    Without `ports` (gRPC, REST) free ones are taken. Somebody else may take a free port before the
    server binds it; then it is tried again.
    """
    for attempt in range(_ATTEMPTS):
        server = _start(directory, attempt, flags, ports or tuple(free_ports(2)), environment or {})
        try:
            if is_awaited:
                wait_until(
                    lambda server=server: server.is_listening or not server.process.is_running,
                    seconds=seconds,
                    what="the model server's ports opening",
                )
            if "cannot listen on" in server.output and not server.process.is_running:
                continue
            assert server.process.is_running or not is_awaited, server.output
            yield server
            return
        finally:
            server.process.end()
    raise AssertionError(f"no free port in {_ATTEMPTS} attempts")


def wait_until_available(server: RunningModelServer, model: str) -> None:
    """All versions: ports open when each model has one of those that are asked for."""
    with BlockingClient(server.url("grpc"), timeout_seconds=30) as client:
        wait_until(
            lambda: {each.state for each in client.statuses(model)} == {State.AVAILABLE},
            seconds=60,
            what=f"all versions of {model}",
        )


def _start(
    directory: Path,
    attempt: int,
    flags: tuple[str, ...],
    ports: tuple[int, ...],
    environment: Mapping[str, str],
) -> RunningModelServer:
    grpc_port, rest_port = ports
    command = python_module(
        "serving", f"--port={grpc_port}", f"--rest_api_port={rest_port}", *flags
    )
    log = directory / f"model-server-{rest_port}-{attempt}.log"
    process = Process(command, log, **environment)
    return RunningModelServer(process, grpc_port, rest_port)


def models_config(*models: str) -> str:
    """A ModelServerConfig as text; each model as 'name: "m" base_path: "/models/m"' and so on."""
    entries = "".join(f'  config {{ {model} model_platform: "tensorflow" }}\n' for model in models)
    return f"model_config_list {{\n{entries}}}\n"
