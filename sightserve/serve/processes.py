"""Child processes that end with us, in order."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Self

from sightserve.serve.errors import ServeError, StopRequestedError

GRACE_SECONDS: Final = 35.0
"""A little more than either server's own drain."""
_LAST_LINES: Final = 15

Say = Callable[[str], None]


def typed(command: list[str]) -> str:
    """A command as a person would type it."""
    program = "python" if command[0] == sys.executable else command[0]
    return f"$ {shlex.join([program, *command[1:]])}"


class Processes(AbstractContextManager["Processes"]):
    """Children that end with us, in the reverse order of their start.

    Args:
        say: prints a line.
        logs: a folder for what they print; None: where we print.
    """

    def __init__(self, say: Say, logs: Path | None = None) -> None:
        self._say = say
        self._logs = logs
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, command: list[str], **environment: str) -> None:
        """Start a child in its own session: Ctrl-C reaches us alone, and we stop it in order."""
        self._say(typed(command))
        child = _child(command, self._log(name), environment)
        self._running.append((name, child))

    def check(self) -> None:
        """Look after them.

        Raises:
            ServeError: one has ended.
        """
        for name, child in self._running:
            if child.poll() is not None:
                last = self.last_lines(name)
                where = f":\n{last}" if last else "; its last lines are above"
                raise ServeError(f"the {name} ended with exit code {child.returncode}{where}")

    def last_lines(self, name: str) -> str:
        """What it printed last; nothing if it printed where we do."""
        return "\n".join(self.output(name).splitlines()[-_LAST_LINES:])

    def output(self, name: str) -> str:
        """What it has printed; nothing if it printed where we do."""
        if (log := self._log(name)) is None or not log.exists():
            return ""
        return log.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with _hurried() as hurried:
            for name, child in reversed(self._running):
                if child.poll() is None:
                    self._say(f"stopping the {name} ...")
                    child.terminate()
                    deadline = time.monotonic() + GRACE_SECONDS
                    while child.poll() is None and time.monotonic() < deadline and not hurried:
                        time.sleep(0.05)
                    child.kill()
                child.wait()

    def _log(self, name: str) -> Path | None:
        return self._logs / f"{name.replace(' ', '-')}.log" if self._logs else None


@contextmanager
def _hurried() -> Iterator[list[bool]]:
    """Signals that come while children stop: none may leave a child behind, each ends the wait.

    Only the main thread may say what signals do, and only it gets them.
    """
    signals: list[bool] = []
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    note = lambda *_: signals.append(True)  # noqa: E731 - of one use
    before = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(command: list[str], say: Say, log: Path | None = None) -> int:
    """Run a command to its end; on Ctrl-C it gets one SIGINT, from us, and cleans up.

    Returns:
        Its exit code.
    """
    say(typed(command))
    with _child(command, log, {}) as child:
        try:
            return child.wait()
        except (StopRequestedError, KeyboardInterrupt):
            child.send_signal(signal.SIGINT)
            child.wait()
            raise


def _child(
    command: list[str], log: Path | None, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    output = log.open("ab") if log else None
    try:
        return subprocess.Popen(  # noqa: S603 - our own commands
            command,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has a single thread
        )
    finally:
        if output:
            output.close()


def _die_with_parent() -> None:
    """Ask Linux to end this child even if its parent is killed with SIGKILL (prctl(2))."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)
