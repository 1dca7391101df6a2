"""Work in a process of its own: when it ends, every byte that its libraries took is free again.

    parent                                   child: python -m exporter.apart FD
      module, function, arguments  ──pickle──►   module.function(**arguments, report=…)
      reporter, error, answer      ◄──pickle──   (what eats memory or crashes dies here, alone)

A Ctrl-C is the parent's: the child is in a process group of its own, and is killed when the parent
ends, however it ends.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from exporter.children import spawn, stop
from exporter.errors import ExporterError, FailedError
from exporter.progress import Reporter
from exporter.store import volume

_RESULT: Final = "result"
_ERROR: Final = "error"


def run_apart(
    module: str,
    function: str,
    arguments: Mapping[str, Any],
    *,
    report: Reporter,
    writes_to: Path,
    what: str,
    environment: Mapping[str, str] | None = None,
) -> Any:
    """Call a function of a module in a child; its argument `report` is told to ours.

    Args:
        module: its name; imported by the child alone.
        function: of it.
        arguments: by name; pickled, as is what it returns.
        report: told what the child's is told.
        writes_to: the folder whose volume is named where it is full.
        what: it is, for the message of its death.
        environment: set on top of ours; `{scratch}` in it is the child's temporary folder.

    Raises:
        ExporterError: as the function's, or that the child died.
        OSError: as the function's: a full disk, a folder that is not ours.
    """
    ours, theirs = (Connection(each.detach()) for each in socket.socketpair())
    # Temporary files of the child, which may be killed, are ours to remove.
    with ours, tempfile.TemporaryDirectory(prefix="sightserve-") as scratch:
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            chosen = {
                key: text.format(scratch=scratch) for key, text in (environment or {}).items()
            }
            process = spawn(
                command, environment={**chosen, "TMPDIR": scratch}, keep_open=theirs.fileno()
            )
        try:
            ours.send((module, function, arguments, writes_to))
            return _listen(ours, report)
        except (EOFError, ConnectionError):
            raise FailedError(_last_words(process, what)) from None
        finally:
            stop(process)


def _listen(connection: Connection[Any, Any], report: Reporter) -> Any:
    while True:
        kind, content = connection.recv()
        if kind == _RESULT:
            return content
        if kind == _ERROR:
            raise content
        getattr(report, kind)(*content)


def _last_words(process: subprocess.Popen[bytes], what: str) -> str:
    code = process.wait()
    if code == -signal.SIGKILL:
        return f"{what} was killed: most likely for want of memory (see docs/exporter.md, Memory)"
    if code < 0:
        return f"{what} died of {signal.Signals(-code).name}; its last words are above"
    return f"{what} failed in a way that nobody foresaw; its last words are above"


class _Far:
    """A reporter at the other end."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection = connection

    def __getattr__(self, method: str) -> Any:
        return lambda *arguments: self._connection.send((method, arguments))


def main() -> None:
    """Make the one call that comes through the connection whose file descriptor is the argument."""
    with Connection(int(sys.argv[1])) as connection:
        module, function, arguments, writes_to = connection.recv()
        try:
            call = getattr(importlib.import_module(module), function)  # seconds, and it may fail
            # Here and not only in the parent: what made the library fail does not cross over.
            with volume.failures_named(writes_to):
                result = call(**arguments, report=_Far(connection))
            answer: tuple[str, Any] = (_RESULT, result)
        except (ExporterError, OSError) as error:
            answer = (_ERROR, error.with_traceback(None))
        except BaseException:  # noqa: BLE001 - printed, and told by the exit code
            traceback.print_exc()
            os._exit(1)
        connection.send(answer)
    # Nothing is left to do, and TensorFlow's clean-up takes seconds on large graphs.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
