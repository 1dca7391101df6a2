"""A real model server as a child process, for as long as the gate needs one.

starting ──status AVAILABLE──► ready ──leaving the context──► stopped
   ├── process exits, or not AVAILABLE at the deadline ──► FailedError, with the log's last lines
   └── the version fails to load, by status or by log, ──► RefusedError, with the server's own words
       or crashes the server
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.children import spawn, stop
from exporter.errors import ExporterError, FailedError, RefusedError
from exporter.proof.server_log import FOR_PEOPLE, ServerLog
from protocol.blocking import BlockingClient
from protocol.client import ProtocolError
from protocol.models import State, VersionStatus

_POLL_SECONDS: Final = 0.1
_STATUS_TIMEOUT_SECONDS: Final = 5.0
_START_ATTEMPTS: Final = 3
_LOAD_ONCE: Final = ("--max_num_load_retries=0", "--load_retry_interval_micros=0")

_STEP: Final = "model server"
_CRASHES: Final = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE})
"""Signals by which a version, not the machine, ends a server: CHECK failures and the like."""


_EMBEDDED: Final = f"{__name__.rpartition('exporter.')[0]}serving"
"""Our neighbour, whatever package a wheel has put both into."""


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
    return [found] if found else embedded_command()


def embedded_command() -> list[str]:
    """The model server that comes with us."""
    return [sys.executable, "-m", _EMBEDDED]


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
    command: list[str],
    base_path: Path,
    model_name: str,
    *,
    start_timeout_seconds: float,
    is_warmed_up: bool = True,
    further_flags: Sequence[str] = (),
) -> Iterator[Endpoints]:
    """Serve `<base_path>/<version>/` until the context is left.

    Args:
        command: program and first arguments, without TensorFlow Serving's flags.
        base_path: folder with one integer-named version.
        model_name: what the model is called in requests.
        start_timeout_seconds: how long loading may take.
        is_warmed_up: whether it replays the version's warmup records while loading.
        further_flags: of threads, batching and the like.

    Raises:
        FailedError: the process did not start or did not answer in time.
        RefusedError: the model server refuses the version, or crashes on it.
    """
    warmup = f"--enable_model_warmup={str(is_warmed_up).lower()}"
    flags = (*_LOAD_ONCE, warmup, *further_flags)
    with tempfile.TemporaryFile() as file:
        log = ServerLog(file)
        process, endpoints = _start(
            command, flags, base_path, model_name, log, time.monotonic() + start_timeout_seconds
        )
        try:
            yield endpoints
        finally:
            stop(process)


def _start(
    command: list[str],
    flags: Sequence[str],
    base_path: Path,
    model_name: str,
    log: ServerLog,
    deadline: float,
) -> tuple[subprocess.Popen[bytes], Endpoints]:
    for _ in range(_START_ATTEMPTS):
        grpc_port, rest_port = _free_ports()
        endpoints = Endpoints(f"grpc://127.0.0.1:{grpc_port}", f"http://127.0.0.1:{rest_port}")
        where = serving_flags(base_path, model_name, grpc_port=grpc_port, rest_port=rest_port)
        process = spawn([*command, *where, *flags], output=log.file, environment=FOR_PEOPLE)
        try:
            if _becomes_available(process, endpoints, model_name, log, deadline):
                return process, endpoints
        except BaseException:
            stop(process)
            raise
        if "in use" not in log.text():  # another process may have taken a port meanwhile
            break
    raise _ended(command, process.returncode, log)


def _ended(command: list[str], exit_code: int, log: ServerLog) -> ExporterError:
    name = " ".join(command)
    if -exit_code in _CRASHES:
        by = signal.Signals(-exit_code).name
        return RefusedError(f"the version crashes {name} ({by}): {log.tail()}", step=_STEP)
    if -exit_code == signal.SIGKILL:
        return FailedError(f"{name} was killed, most likely for want of memory: {log.tail()}")
    return FailedError(f"{name} ended at once (exit code {exit_code}): {log.tail()}")


def _becomes_available(
    process: subprocess.Popen[bytes],
    endpoints: Endpoints,
    model_name: str,
    log: ServerLog,
    deadline: float,
) -> bool:
    with BlockingClient(endpoints.rest_url, timeout_seconds=_STATUS_TIMEOUT_SECONDS) as client:
        while time.monotonic() < deadline:
            has_ended = process.poll() is not None  # asked first: then its log is complete
            failure = log.load_failure()
            statuses = [] if has_ended or failure else _statuses(client, model_name)
            failed = [status for status in statuses if status.state is State.END]
            if failed:
                failure = failed[0].message or "without saying why"
            if failure:
                raise RefusedError(f"it does not load the version: {failure}", step=_STEP)
            if has_ended:
                return False
            if any(status.state is State.AVAILABLE for status in statuses):
                return True
            time.sleep(_POLL_SECONDS)
    raise FailedError(
        f"the model server did not load the version in time: {log.tail()}; "
        "EXPORTER_MODEL_SERVER_START_TIMEOUT_SECONDS gives it longer"
    )


def _statuses(client: BlockingClient, model_name: str) -> list[VersionStatus]:
    try:
        return client.statuses(model_name)
    except ProtocolError:
        return []  # not listening yet, or not knowing the model yet


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
