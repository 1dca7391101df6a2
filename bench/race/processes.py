"""Servers as process groups: started, stopped so that they cost nothing, ended whole."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
_GRACE_SECONDS = 10.0
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


class StartError(Exception):
    """A server did not come up; the end of its log."""


class Group:
    """A process, its children and theirs.

    Args:
        role: what it does, such as "model server".
        command: what to run, in the repository's root.
        log: where it prints.
        environment: on top of ours.
    """

    def __init__(self, role: str, command: Sequence[str], log: Path, **environment: str) -> None:
        self.role = role
        self.is_whole = False
        """Whether the children of a gateway are gateways, too, and not what decodes for it."""
        self.command = list(command)
        self.log = log
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - libc is loaded already
            )
        self.pid = self._child.pid

    @property
    def is_running(self) -> bool:
        """It has not ended."""
        return self._child.poll() is None

    def log_text(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    def suspend(self) -> None:
        """Let no process of it run."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them run again."""
        self._signal(signal.SIGCONT)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU that was used by role; what a gateway's children use is decoding."""
        own, children = self._split(lambda each: sum(each.cpu_times()[:2]))
        if self.role == "gateway" and not self.is_whole:
            return {"gateway": own, "decode workers": children}
        return {self.role: own + children}

    def resident_mb(self) -> dict[str, float]:
        """Proportional set size in MB: pages that processes share are counted once."""
        own, children = self._split(lambda each: each.memory_full_info().pss / 1e6)
        return {self.role: own + children}

    def end(self) -> None:
        """SIGTERM, and SIGKILL to all that is left."""
        self.resume()
        if self.is_running:
            self._child.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(_GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        self._child.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def _split(self, measure: Callable[[psutil.Process], float]) -> tuple[float, float]:
        values = []
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.pid)
            for each in [root, *root.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    values.append(measure(each))
        return (values[0], sum(values[1:])) if values else (0.0, 0.0)


class Groups:
    """The processes of one service.

    Args:
        logs: a folder of its own.
    """

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.logs.mkdir(parents=True, exist_ok=True)
        self.all: list[Group] = []

    def start(self, name: str, command: Sequence[str], **environment: str) -> Group:
        """Start one; `sightserve.serve.stack.start` calls it, too."""
        log = self.logs / f"{name.replace(' ', '-')}-{len(self.all)}.log"
        group = Group(name, command, log, **environment)
        self.all.append(group)
        return group

    def check(self) -> None:
        """Look after them.

        Raises:
            StartError: one has ended.
        """
        for each in self.all:
            if not each.is_running:
                lines = [line for line in each.log_text().splitlines() if line.strip()]
                raise StartError(f"the {each.role} ended: {' / '.join(lines[-3:])}")

    def suspend(self) -> None:
        """Let none run."""
        for each in self.all:
            each.suspend()

    def resume(self) -> None:
        """Let all run."""
        for each in self.all:
            each.resume()

    def cpu_seconds(self) -> dict[str, float]:
        """By role."""
        return _sum(each.cpu_seconds() for each in self.all)

    def resident_mb(self) -> dict[str, float]:
        """By role."""
        return _sum(each.resident_mb() for each in self.all)

    def end(self) -> None:
        """End all, the last started first."""
        for each in reversed(self.all):
            each.end()


def _sum(parts: Iterable[dict[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for role, value in part.items():
            total[role] = total.get(role, 0.0) + value
    return total


def wait_until(is_true: Callable[[], bool], groups: Groups, seconds: float = 240.0) -> None:
    """Poll.

    Raises:
        StartError: a process ended, or it took too long.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        groups.check()
        if is_true():
            return
        time.sleep(0.1)
    raise StartError(f"not ready within {seconds:.0f} s")


def die_with_parent() -> None:
    """Ask Linux to kill this child when its parent dies, stopped or not (prctl(2))."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
