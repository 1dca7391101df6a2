"""The three processes together, as people start them, each on ports of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.model_server import (
    RunningModelServer,
    models_config,
    running_model_server,
)
from tests.support.processes import (
    DEADLINE_SECONDS,
    ROOT,
    Process,
    answers,
    free_ports,
    python_module,
    running,
    wait_until,
)


@dataclass(frozen=True)
class Gateway:
    """A running gateway."""

    process: Process
    url: str


def export(*arguments: str, seconds: float = 500.0) -> str:
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


@contextmanager
def model_server(
    models: Path, *flags: str, ports: tuple[int, int] | None = None
) -> Iterator[RunningModelServer]:
    """Serve every model below `models` with the embedded server."""
    names = sorted(each.name for each in models.iterdir() if each.is_dir())
    config = models / "models.config"
    config.write_text(models_config(*(f'name: "{n}" base_path: "{models / n}"' for n in names)))
    flags = (f"--model_config_file={config}", "--grpc_max_threads=64", *flags)
    with running_model_server(models, *flags, seconds=DEADLINE_SECONDS, ports=ports) as server:
        yield server


@contextmanager
def gateway(
    model_server_url: str,
    model_name: str,
    log: Path,
    *,
    is_awaited: bool = True,
    folder: Path = ROOT,
    prefix: Sequence[str] = (),
    **settings: str,
) -> Iterator[Gateway]:
    """Run the gateway in front of a model server; `settings` are GATEWAY_ variables.

    `folder` holds the code: another working tree than this one, to compare two. `prefix` is a
    command that runs its arguments, as prlimit does.
    """
    (port,) = free_ports(1)
    environment = {
        "GATEWAY_MODEL_SERVER_URL": model_server_url,
        "GATEWAY_MODEL_NAME": model_name,
        **settings,
    }
    command = [*prefix, *python_module("app", "--port", str(port))]
    with running(command, log, folder=folder, **environment) as process:
        url = f"http://127.0.0.1:{port}"
        path = "readyz" if is_awaited else "livez"
        wait_until(
            lambda: answers(f"{url}/{path}") or not process.is_running,
            what=f"{path} of the gateway",
        )
        assert process.is_running, process.output
        yield Gateway(process, url)
