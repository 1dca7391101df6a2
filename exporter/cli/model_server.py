"""The model server that an option names."""

from __future__ import annotations

from exporter.errors import UsageError
from protocol.blocking import BlockingClient


def connect(url: str, timeout_seconds: float) -> BlockingClient:
    """A client for `grpc://host:8500` or `http://host:8501`.

    Raises:
        UsageError: the URL is neither.
    """
    try:
        return BlockingClient(url, timeout_seconds=timeout_seconds)
    except ValueError as error:
        raise UsageError(str(error)) from error
