"""Model servers to ask: one that a URL names, and one of our own for a version on disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.errors import UsageError
from exporter.proof.model_server_process import command_of, running_model_server
from exporter.settings import Settings
from exporter.store.inventory import PublishedVersion
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


@contextmanager
def serving(found: PublishedVersion, settings: Settings) -> Iterator[BlockingClient]:
    """Serve a version on disk for as long as the block runs; a client over gRPC.

    As in the gate: nothing else is loaded.

    Raises:
        FailedError: no model server starts.
        RefusedError: the model server refuses the version.
    """
    with (
        alone(found) as base_path,
        running_model_server(
            command_of(settings.model_server),
            base_path,
            found.model_name,
            start_timeout_seconds=settings.model_server_start_timeout_seconds,
        ) as endpoints,
        BlockingClient(
            endpoints.grpc_url, timeout_seconds=settings.request_timeout_seconds
        ) as client,
    ):
        yield client


@contextmanager
def alone(found: PublishedVersion) -> Iterator[Path]:
    """A base path with nothing but a link to one version, for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="sightserve-") as folder:
        link = Path(folder) / str(found.version)
        link.symlink_to(found.path.resolve(), target_is_directory=True)
        yield Path(folder)
