"""A real model server as a child process, for as long as the gate needs one.

starting ──status AVAILABLE──► ready ──leaving the context──► stopped
   ├── process exits, or silent until the deadline ──► FailedError, with the log's last lines
   └── the version ends in an error ──► RefusedError, with the server's own words
"""

from __future__ import annotations

import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from exporter.children import dying_with_us
from exporter.errors import FailedError, RefusedError
from protocol.blocking import BlockingClient
from protocol.client import ProtocolError
from protocol.models import State, VersionStatus

_POLL_SECONDS: Final = 0.1
_STATUS_TIMEOUT_SECONDS: Final = 5.0
_STOP_TIMEOUT_SECONDS: Final = 10.0
_LOG_TAIL_LINES: Final = 3
_START_ATTEMPTS: Final = 3
_LOAD_ONCE: Final = ("--max_num_load_retries=0", "--load_retry_interval_micros=0")


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a model server listens."""

    grpc_url: str
    """grpc://host:port"""
    rest_url: str
    """http://host:port"""


def command_of(configured: str) -> list[str]:
    """The model server's command: the configured one, TensorFlow's from PATH, or the embedded."""
    if configured:
        return shlex.split(configured)
    found = shutil.which("tensorflow_model_server")
    return [found] if found else [sys.executable, "-m", "serving"]


def serving_flags(base_path: Path, model_name: str, *, grpc_port: int, rest_port: int) -> list[str]:
    """What any model server must be told to serve the versions below a base path."""
    return [
        f"--port={grpc_port}",
        f"--rest_api_port={rest_port}",
        f"--model_name={model_name}",
        f"--model_base_path={base_path.resolve()}",
    ]


@contextmanager
def running_model_server(
    command: list[str], base_path: Path, model_name: str, *, start_timeout_seconds: float
) -> Iterator[Endpoints]:
    """Serve `<base_path>/<version>/` until the context is left.

    Args:
        command: program and first arguments, without TensorFlow Serving's flags.
        base_path: folder with one integer-named version.
        model_name: what the model is called in requests.
        start_timeout_seconds: how long loading may take.

    Raises:
        FailedError: the process did not start or did not answer in time.
        RefusedError: the model server refuses the version.
    """
    with tempfile.TemporaryFile() as log:
        process, endpoints = _start(
            command, base_path, model_name, log, time.monotonic() + start_timeout_seconds
        )
        try:
            yield endpoints
        finally:
            _stop(process)


def _start(
    command: list[str], base_path: Path, model_name: str, log: IO[bytes], deadline: float
) -> tuple[subprocess.Popen[bytes], Endpoints]:
    for _ in range(_START_ATTEMPTS):
        grpc_port, rest_port = _free_ports()
        endpoints = Endpoints(f"grpc://127.0.0.1:{grpc_port}", f"http://127.0.0.1:{rest_port}")
        flags = serving_flags(base_path, model_name, grpc_port=grpc_port, rest_port=rest_port)
        process = _spawn([*command, *flags, *_LOAD_ONCE], log)
        try:
            if _becomes_available(process, endpoints, model_name, deadline):
                return process, endpoints
        except BaseException:
            _stop(process)
            raise
        _stop(process)
        if time.monotonic() > deadline:
            raise FailedError(f"{command[0]} did not load the version in time: {_tail(log)}")
        if b"in use" not in _content(log):  # another process may have taken a port meanwhile
            break
    raise FailedError(f"{' '.join(command)} ended at once: {_tail(log)}")


def _spawn(command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - the operator's own command
            dying_with_us(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,  # a Ctrl-C is ours to handle: it must not end the server first
        )
    except OSError as error:
        raise FailedError(f"cannot start {command[0]}: {error}") from error


def _becomes_available(
    process: subprocess.Popen[bytes], endpoints: Endpoints, model_name: str, deadline: float
) -> bool:
    with BlockingClient(endpoints.rest_url, timeout_seconds=_STATUS_TIMEOUT_SECONDS) as client:
        while time.monotonic() < deadline and process.poll() is None:
            statuses = _statuses(client, model_name)
            if any(status.state is State.AVAILABLE for status in statuses):
                return True
            failed = [status for status in statuses if status.state is State.END]
            if failed:
                message = failed[0].message or "without saying why"
                raise RefusedError(f"the model server refuses the version: {message}")
            time.sleep(_POLL_SECONDS)
    return False


def _statuses(client: BlockingClient, model_name: str) -> list[VersionStatus]:
    try:
        return client.statuses(model_name)
    except ProtocolError:
        return []  # not listening yet, or not knowing the model yet


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _content(log: IO[bytes]) -> bytes:
    log.seek(0)
    return log.read()


def _tail(log: IO[bytes]) -> str:
    lines = [line for line in _content(log).decode(errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-_LOG_TAIL_LINES:]) or "it logged nothing"
