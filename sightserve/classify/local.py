"""A gateway for the length of a run: the exporter, a model server and a gateway as child processes.

`local_gateway` is all that the rest of the command knows of it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from sightserve.classify.errors import ClassifyError
from sightserve.client import Client, SightserveError

MODELS: Final = Path("models")
"""Where `make run` publishes too."""

_READY_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.1
_LAST_LINES: Final = 5


@contextmanager
def local_gateway(model: str) -> Iterator[str]:
    """The URL of a gateway that serves the model, which is published first if need be.

    Args:
        model: `digits`, a Keras application's name, or the name of a model in ./models.

    Raises:
        ClassifyError: it cannot be published or started.
    """
    parts = _parts()
    _publish(parts, model)
    name = model.lower() if not (MODELS / model).is_dir() else model
    with ExitStack() as stack:
        log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log"
        output = stack.enter_context(log.open("wb"))
        grpc_port, rest_port, port = _free_ports(3)
        flags = parts.serving_flags(MODELS / name, name, grpc_port=grpc_port, rest_port=rest_port)
        server = parts.spawn(
            [*parts.command_of(""), *flags, "--grpc_max_threads=64"],
            output=output,
            environment={"TF_CPP_MIN_LOG_LEVEL": "2"},
        )
        stack.callback(parts.stop, server)
        gateway = parts.spawn(
            [sys.executable, "-m", parts.app, "--host", "127.0.0.1", "--port", str(port)],
            output=output,
            environment={
                "GATEWAY_MODEL_SERVER_URL": f"grpc://127.0.0.1:{grpc_port}",
                "GATEWAY_MODEL_NAME": name,
            },
        )
        stack.callback(parts.stop, gateway)
        url = f"http://127.0.0.1:{port}"
        _wait(url, {"model server": server, "gateway": gateway}, log)
        yield url


class _Parts:
    """What the other packages bring; they come with extras, so they are imported late."""

    def __init__(self) -> None:
        import app  # noqa: PLC0415 - comes with an extra
        import exporter  # noqa: PLC0415 - as above
        from exporter.children import spawn, stop  # noqa: PLC0415 - as above
        from exporter.proof.model_server_process import (  # noqa: PLC0415 - as above
            command_of,
            serving_flags,
        )

        self.app = app.__name__
        self.exporter = exporter.__name__
        self.spawn, self.stop = spawn, stop
        self.command_of, self.serving_flags = command_of, serving_flags


def _parts() -> _Parts:
    try:
        return _Parts()
    except ImportError as error:
        raise ClassifyError(
            f"--local needs the whole of it ({error.name} is missing): "
            "pip install 'sightserve[exporter,serving,gateway]'"
        ) from error


def _publish(parts: _Parts, model: str) -> None:
    if _has_versions(MODELS / model):
        return
    command = [sys.executable, "-m", parts.exporter, "ensure", "--model", model]
    sys.stderr.write(f"publishing {model} in {MODELS}/ ...\n")
    with tempfile.TemporaryFile() as log:
        child = parts.spawn([*command, "--base-path", str(MODELS)], output=log)
        try:
            code = child.wait()
        finally:
            parts.stop(child)
        if code != 0:
            log.seek(0)
            raise ClassifyError(f"{model} could not be published:\n{_last_lines(log.read())}")


def _has_versions(folder: Path) -> bool:
    return folder.is_dir() and any(each.name.isdecimal() for each in folder.iterdir())


def _wait(url: str, processes: dict[str, subprocess.Popen[bytes]], log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    with Client(url, api_key="", timeout=5) as client:
        while not _is_ready(client):
            for name, process in processes.items():
                if process.poll() is not None:
                    raise ClassifyError(f"the {name} ended:\n{_last_lines(log.read_bytes())}")
            if time.monotonic() > deadline:
                raise ClassifyError(f"no answer within {_READY_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)


def _is_ready(client: Client) -> bool:
    try:
        return bool(client.ready())
    except SightserveError:
        return False


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _last_lines(log: Any) -> str:
    lines = log.decode("utf-8", "replace").strip().splitlines()
    return os.linesep.join(lines[-_LAST_LINES:])
