"""Why a load test ends before its work is done, as one line and an exit code."""

from __future__ import annotations


class BenchError(Exception):
    """The service could not be asked."""

    exit_code = 3


class UsageError(BenchError):
    """What was asked for makes no sense."""

    exit_code = 2
