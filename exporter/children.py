"""Processes of ours that must not outlive us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import IO, Final

from exporter.errors import FailedError

_STOP_TIMEOUT_SECONDS: Final = 10.0

# Weights come and go by the hundred megabytes: glibc would keep blocks of up to 32 MB for itself
# once it has seen one freed, in an arena per thread.
_FRUGAL: Final = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "2"}

# The child asks Linux to be killed with its parent: even SIGKILL of the exporter leaves nothing
# behind. Elsewhere the call does not exist and the exporter's own clean-up has to do.
_DIE_WITH_PARENT: Final = """
import ctypes, os, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl is not None:
    prctl(1, 9)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def dying_with_us(command: list[str]) -> list[str]:
    """The command that runs `command` for as long as this process lives."""
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


def spawn(
    command: list[str],
    *,
    output: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
    without: str | None = None,
    keep_open: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that dies with this one and does not hear of a Ctrl-C.

    Args:
        command: program and arguments.
        output: where both its outputs go; None: where ours go.
        environment: set on top of ours.
        without: prefix of our variables that it does not get.
        keep_open: a file descriptor that it inherits.

    Raises:
        FailedError: there is no such program.
    """
    ours = {
        name: value
        for name, value in os.environ.items()
        if without is None or not name.upper().startswith(without)
    }
    try:
        return subprocess.Popen(  # noqa: S603 - ours, or the operator's own command
            dying_with_us(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            env={**_FRUGAL, **ours, **(environment or {})},
            pass_fds=() if keep_open is None else (keep_open,),
            process_group=0,  # a Ctrl-C is ours to handle
        )
    except OSError as error:
        raise FailedError(f"cannot start {command[0]}: {error}") from error


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it, gently at first; done when it is gone."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
