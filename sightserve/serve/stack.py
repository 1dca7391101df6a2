"""A model server and a gateway on this machine."""

from __future__ import annotations

import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sightserve.serve.errors import ServeError, TargetError
from sightserve.serve.ports import HOME, Ports
from sightserve.serve.processes import Processes, Say
from sightserve.serve.publishing import Choices, Publisher
from sightserve.serve.targets import Target, find

READY_SECONDS: Final = 300.0
"""The largest applications take minutes to load on two cores."""


def start(
    processes: Processes, served: Sequence[Target], ports: Ports, folder: Path, say: Say
) -> None:
    """Start both; the first model answers requests that name none.

    Args:
        processes: what keeps them.
        served: the models, each of another name.
        ports: where they listen.
        folder: for the model server's config.
        say: prints a line.
    """
    from app import __name__ as gateway  # noqa: PLC0415 - of an extra

    command = model_server_command(served, ports, folder, say)
    processes.start("model server", command, TF_CPP_MIN_LOG_LEVEL="2")
    first, *others = (target.name for target in served)
    processes.start(
        "gateway",
        [sys.executable, "-m", gateway, "--host", ports.host, "--port", str(ports.gateway)],
        GATEWAY_MODEL_SERVER_URL=f"grpc://{HOME}:{ports.grpc}",
        GATEWAY_MODEL_NAME=first,
        **({"GATEWAY_REQUIRED_MODELS": ",".join(others)} if others else {}),
    )


def model_server_command(
    served: Sequence[Target], ports: Ports, folder: Path, say: Say
) -> list[str]:
    """TensorFlow Serving's own binary where there is one, else the embedded server."""
    from exporter.proof.model_server_process import command_of, serving_flags  # noqa: PLC0415

    command = command_of("")
    if command[0] != sys.executable:
        say(
            f"{command[0]} listens on every address of this machine (it has no flag for that): "
            "whoever reaches its ports can load models."
        )
    if len(served) == 1:
        only = served[0]
        flags = serving_flags(
            only.base_path / only.name, only.name, grpc_port=ports.grpc, rest_port=ports.rest
        )
    else:
        config = folder / "models.config"
        config.write_text(models_config(served))
        flags = [
            f"--port={ports.grpc}",
            f"--rest_api_port={ports.rest}",
            f"--model_config_file={config}",
        ]
    return [*command, *flags, "--grpc_max_threads=64"]


def models_config(served: Sequence[Target]) -> str:
    """TensorFlow Serving's list of models."""
    each = "".join(
        f"  config {{\n    name: {_quoted(target.name)}\n"
        f"    base_path: {_quoted(str((target.base_path / target.name).resolve()))}\n"
        "    model_platform: 'tensorflow'\n  }\n"
        for target in served
    )
    return f"model_config_list {{\n{each}}}\n"


def _quoted(text: str) -> str:
    """A string of protobuf's text format."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"


def wait_until_ready(processes: Processes, url: str) -> None:
    """Poll /readyz until the gateway says that every model answers.

    Raises:
        ServeError: a process ended, or it took too long.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        processes.check()
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):  # noqa: S310 - our own http URL
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    raise ServeError(f"the model did not answer within {READY_SECONDS:.0f} s; the log is above")


def different(served: Sequence[Target]) -> list[Target]:
    """Without repetitions.

    Raises:
        TargetError: two different models have one name.
    """
    by_name: dict[str, Target] = {}
    for target in served:
        other = by_name.setdefault(target.name, target)
        if other.base_path.resolve() != target.base_path.resolve() or other.source != target.source:
            raise TargetError(f"two models are called {target.name}; serve them one at a time")
    return list(by_name.values())


@contextmanager
def running(text: str, models: Path = Path("models")) -> Iterator[str]:
    """Serve a model on free ports for as long as the block runs; what `serve` takes is taken.

    Nothing is printed but errors of the exporter's.

    Yields:
        The gateway's URL.

    Raises:
        ServeError: there is no such model, or it cannot be served.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        served = different(find(text, models))
        publisher = Publisher(_silently, folder / "exporter.log")
        for target in served:
            try:
                publisher.publish(target, Choices())
            except ServeError as error:
                log = (folder / "exporter.log").read_text(errors="replace")
                raise type(error)(
                    str(error).replace("; the reason is above", f": {_last(log)}")
                ) from None
        ports = Ports.of(0, 0, 0)
        with Processes(_silently, folder) as processes:
            start(processes, served, ports, folder, _silently)
            wait_until_ready(processes, ports.gateway_url)
            yield ports.gateway_url


def _silently(line: str) -> None:
    """Print nothing."""


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "it said nothing"
