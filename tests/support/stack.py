"""The three processes together, as people start them, each on ports of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import (
    ROOT,
    Process,
    answers,
    free_ports,
    python_module,
    running,
    wait_until,
)


@dataclass(frozen=True)
class ModelServer:
    """A running model server."""

    process: Process
    grpc_port: int
    rest_port: int

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.rest_port}"

    def url(self, protocol: str) -> str:
        """What GATEWAY_MODEL_SERVER_URL takes: protocol is grpc or http."""
        port = self.grpc_port if protocol == "grpc" else self.rest_port
        return f"{protocol}://127.0.0.1:{port}"


@dataclass(frozen=True)
class Gateway:
    """A running gateway."""

    process: Process
    url: str


def export(*arguments: str, seconds: float = 300.0) -> str:
    """Run `python -m exporter`; its output, once it has succeeded."""
    result = subprocess.run(
        python_module("exporter", *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert result.returncode == 0, f"exporter {arguments}:\n{result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


def write_models_config(models: Path, names: list[str]) -> Path:
    """A model config file that serves the named models below `models`."""
    entries = "".join(
        f'config {{ name: "{name}" base_path: "{models / name}" model_platform: "tensorflow" }}\n'
        for name in names
    )
    path = models / "models.config"
    path.write_text(f"model_config_list {{\n{entries}}}\n")
    return path


@contextmanager
def model_server(
    models: Path, *flags: str, ports: tuple[int, int] | None = None, is_awaited: bool = True
) -> Iterator[ModelServer]:
    """Serve every model below `models` with the embedded server."""
    names = sorted(each.name for each in models.iterdir() if each.is_dir())
    grpc_port, rest_port = ports or free_ports(2)
    command = python_module(
        "serving",
        f"--port={grpc_port}",
        f"--rest_api_port={rest_port}",
        f"--model_config_file={write_models_config(models, names)}",
        "--grpc_max_threads=64",
        *flags,
    )
    log = models / f"serving-{rest_port}.log"
    with running(command, log) as process:
        server = ModelServer(process, grpc_port, rest_port)
        if is_awaited:
            url = f"{server.rest_url}/v1/models/{names[0]}"
            wait_until(lambda: answers(url) or not process.is_running, what="serving a model")
            assert process.is_running, process.output
        yield server


@contextmanager
def gateway(
    model_server_url: str, model_name: str, log: Path, *, is_awaited: bool = True, **settings: str
) -> Iterator[Gateway]:
    """Run the gateway in front of a model server; `settings` are GATEWAY_ variables."""
    (port,) = free_ports(1)
    environment = {
        "GATEWAY_MODEL_SERVER_URL": model_server_url,
        "GATEWAY_MODEL_NAME": model_name,
        **settings,
    }
    with running(python_module("app", "--port", str(port)), log, **environment) as process:
        url = f"http://127.0.0.1:{port}"
        path = "readyz" if is_awaited else "livez"
        wait_until(
            lambda: answers(f"{url}/{path}") or not process.is_running,
            what=f"{path} of the gateway",
        )
        assert process.is_running, process.output
        yield Gateway(process, url)
