"""`bench.race.floor` and `bench.race.direct` as the race sees them: asked a line, answer a line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.race.processes import ROOT, StartError, die_with_parent


class Helper:
    """A process that is stopped while nobody asks it.

    Args:
        log: where it complains.
        words: module and arguments.

    Raises:
        StartError: it did not come up.
    """

    def __init__(self, log: Path, *words: str) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._child = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=ROOT,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - libc is loaded already
            )
        try:
            self._read()
        except BaseException:
            self.end()
            raise
        self._signal(signal.SIGSTOP)

    def ask(self, **order: Any) -> dict[str, Any]:
        """Let it run for one order.

        Raises:
            StartError: it has ended.
        """
        self._signal(signal.SIGCONT)
        try:
            assert self._child.stdin is not None  # noqa: S101 - asked for above
            self._child.stdin.write(json.dumps(order) + "\n")
            self._child.stdin.flush()
            return self._read()
        except BrokenPipeError:
            raise StartError(self._last_words()) from None
        finally:
            self._signal(signal.SIGSTOP)

    def end(self) -> None:
        """End it, whatever it does."""
        self._signal(signal.SIGKILL)
        self._child.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._child.stdout is not None  # noqa: S101 - asked for above
        line = self._child.stdout.readline()
        if not line:
            raise StartError(self._last_words())
        return dict(json.loads(line))

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it ended and said nothing"

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, number)
