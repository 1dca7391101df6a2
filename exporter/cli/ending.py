"""How a command ends that does not succeed: one line on standard error, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from exporter import interruption
from exporter.errors import ExporterError, FailedError, RefusedError


@contextmanager
def errors_as_lines() -> Iterator[None]:
    """Run a command; leave the process where it fails in a way that is known here."""
    # 2 drops information and warnings; errors still show. Must be set before TensorFlow loads.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with interruption.told():
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:
            interruption.require_none()  # what was raised is what a library made of it
            if isinstance(error, RefusedError):
                _fail(f"refused ({error.step}): {error}", error.exit_code)
            if isinstance(error, ExporterError):
                _fail(str(error), error.exit_code)
            if isinstance(error, OSError):  # a folder that is not ours: no traceback says it better
                where = error.filename or "file system"
                _fail(f"{where}: {error.strerror or error}", FailedError.exit_code)
            raise


def _fail(line: str, exit_code: int) -> NoReturn:
    print(f"error: {line}", file=sys.stderr)  # noqa: T201 - one plain line, never wrapped
    sys.exit(exit_code)
