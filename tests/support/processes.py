"""Our commands as real processes: started, awaited with a deadline, stopped, never left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 120.0


class DidNotHappenError(AssertionError):
    """A condition was still false at its deadline."""


def wait_until(
    claim: Callable[[], Any], what: str = "it", *, seconds: float = DEADLINE_SECONDS
) -> Any:
    """Poll until the claim is truthy and return its value."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := claim():
            return value
        time.sleep(0.05)
    raise DidNotHappenError(f"not within {seconds} s: {what}")


def free_ports(count: int) -> list[int]:
    """Ports that nobody holds right now; all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Process:
    """A running command, with its output in a file."""

    def __init__(
        self, command: list[str], log: Path, *, folder: Path = ROOT, **environment: str
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._child.pid

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def wait(self, seconds: float = DEADLINE_SECONDS) -> int:
        """The exit code, once it has ended."""
        return self._child.wait(seconds)

    def end(self, seconds: float = 10.0) -> None:
        """SIGTERM, so that what measures coverage in it can write; SIGKILL if that is too slow."""
        if self.is_running:
            self.send(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """End the whole session of the process, whatever state it is in."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._child.wait()


@contextmanager
def running(
    command: list[str], log: Path, *, folder: Path = ROOT, **environment: str
) -> Iterator[Process]:
    """Run a command for the length of a block; `folder` holds the code that runs."""
    process = Process(command, log, folder=folder, **environment)
    try:
        yield process
    finally:
        process.kill()


def python_module(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def answers(url: str, status: int = 200) -> bool:
    """Whether a GET answers with the status right now."""
    try:
        # Without authorities: to read them takes 50 ms, more than the process that is asked.
        answer = httpx.get(url, timeout=5, trust_env=False, verify=False)  # noqa: S501
    except httpx.TransportError:
        return False
    return answer.status_code == status
