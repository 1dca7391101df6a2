"""The exporter's errors: one line for a person, one exit code for a script.

ExporterError
├── UsageError     exit 2: the command contradicts itself or names what does not exist
├── FailedError    exit 3: the work could not be done (download, file, model server)
└── RefusedError   exit 4: the work was done and its result is not fit to be published
"""

from __future__ import annotations

from typing import ClassVar


class ExporterError(Exception):
    """One line that says what happened and what to do next."""

    exit_code: ClassVar[int] = 3


class UsageError(ExporterError):
    """The command line contradicts itself or names something that does not exist."""

    exit_code: ClassVar[int] = 2


class FailedError(ExporterError):
    """A download, a file or a process failed."""

    exit_code: ClassVar[int] = 3


class RefusedError(ExporterError):
    """The gate will not publish this version; `step` names what found out, in one or two words."""

    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, *, step: str = "source") -> None:
        super().__init__(message)
        self.step = step


def first_line(error: BaseException) -> str:
    """The first non-empty line of a foreign error's text: TensorFlow's run to pages."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)
