"""A client for programs without an event loop: each call runs one of its own until the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from protocol.client import Array, Client, Input, Prediction
from protocol.models import Metadata, ModelSpec, VersionStatus
from protocol.schemes import client_class


class BlockingClient:
    """One model server at `grpc://host:port` or `http(s)://host:port`; a context manager.

    Raises:
        ValueError: the URL is neither.
    """

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self.scheme, self._address = _split(url)
        self._timeout_seconds = timeout_seconds
        self._runner = asyncio.Runner()
        self._client = self._runner.run(self._connect())

    def predict(
        self, spec: ModelSpec, name: str, value: Array, *, outputs: Sequence[str] = ()
    ) -> Prediction:
        """Send an array [N, ...] to a signature's one input; see `Client.predict`."""
        tensor = Input.of_array(name, value, self._client)
        return self._runner.run(
            self._client.predict(
                spec, tensor, outputs=outputs, timeout_seconds=self._timeout_seconds
            )
        )

    def metadata(self, spec: ModelSpec) -> Metadata:
        """See `Client.metadata`."""
        return self._runner.run(self._client.metadata(spec, timeout_seconds=self._timeout_seconds))

    def statuses(self, name: str) -> list[VersionStatus]:
        """See `Client.statuses`."""
        return self._runner.run(self._client.statuses(name, timeout_seconds=self._timeout_seconds))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._runner:
            self._runner.run(self._client.aclose())

    async def _connect(self) -> Client:
        return client_class("grpc" if self.scheme == "grpc" else "http")(self._address)


def _split(url: str) -> tuple[str, str]:
    """Scheme, and what a client's constructor takes."""
    parts = urlsplit(url)
    try:
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_address = False
    if not is_address or parts.scheme not in {"grpc", "http", "https"}:
        raise ValueError(f"{url}: write grpc://host:8500 or http://host:8501")
    return parts.scheme, parts.netloc if parts.scheme == "grpc" else url.rstrip("/")
