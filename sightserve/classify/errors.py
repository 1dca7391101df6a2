"""Why the command ends before its work is done, as one line and an exit code."""

from __future__ import annotations


class ClassifyError(Exception):
    """It could not be done: no gateway, no key, no such model."""

    exit_code = 3


class UsageError(ClassifyError):
    """What was asked for makes no sense."""

    exit_code = 2


class TerminatedError(BaseException):
    """SIGTERM; not an Exception, as KeyboardInterrupt is none."""
