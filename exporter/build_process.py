"""The build in a process of its own: when it ends, every byte that TensorFlow took is free again.

    parent                                   child: python -m exporter.build_process FD
      load, options, settings  ──pickle──►   exporter.build
      reporter, error, lines   ◄──pickle──   (a file that eats memory dies here, alone)

A Ctrl-C is the parent's: the child is in a process group of its own, and is killed when the parent
ends, however it ends.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from exporter.built import Built
from exporter.children import spawn, stop
from exporter.errors import ExporterError, FailedError
from exporter.options import ExportOptions
from exporter.progress import Reporter
from exporter.settings import Settings
from exporter.sources.loading import Load
from exporter.store import volume

_RESULT: Final = "result"
_ERROR: Final = "error"


def build_apart(
    load: Load, options: ExportOptions, settings: Settings, report: Reporter, version_path: Path
) -> Built:
    """As `exporter.build.build`, in a child.

    Raises:
        ExporterError: as the build's, or that the child died.
        OSError: as the build's: a full disk, a folder that is not ours.
    """
    ours, theirs = (Connection(each.detach()) for each in socket.socketpair())
    # Temporary files of the child, which may be killed, are ours to remove.
    with ours, tempfile.TemporaryDirectory(prefix="sightserve-") as scratch:
        with theirs:
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            process = spawn(command, environment={"TMPDIR": scratch}, keep_open=theirs.fileno())
        try:
            ours.send((load, options, settings, version_path))
            return _listen(ours, report)
        except (EOFError, ConnectionError):
            raise FailedError(_last_words(process)) from None
        finally:
            stop(process)


def _listen(connection: Connection[Any, Any], report: Reporter) -> Built:
    while True:
        kind, content = connection.recv()
        if kind == _RESULT:
            built: Built = content
            return built
        if kind == _ERROR:
            raise content
        getattr(report, kind)(*content)


def _last_words(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    if code == -signal.SIGKILL:
        return "the build was killed: most likely for want of memory (see docs/exporter.md, Memory)"
    if code < 0:
        return f"the build died of {signal.Signals(-code).name}; its last words are above"
    return "the build failed in a way that nobody foresaw; its last words are above"


class _Far:
    """A reporter at the other end."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection = connection

    def __getattr__(self, method: str) -> Any:
        return lambda *arguments: self._connection.send((method, arguments))


def main() -> None:
    """Run one build that comes through the connection whose file descriptor is the argument."""
    with Connection(int(sys.argv[1])) as connection:
        load, options, settings, version_path = connection.recv()
        try:
            from exporter.build import build  # noqa: PLC0415 - seconds, and it may fail

            reporter: Any = _Far(connection)
            # Here and not only in the parent: what made the library fail does not cross over.
            with volume.failures_named(version_path.parent):
                built = build(load, options, settings, reporter, version_path)
            answer: tuple[str, Any] = (_RESULT, built)
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
