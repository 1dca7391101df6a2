"""A client for programs without an event loop: each call runs one of its own until the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from protocol.client import Array, Client, Input, Prediction
from protocol.models import Metadata, ModelSpec, VersionStatus
from protocol.schemes import SCHEMES, Scheme, client_class
from protocol.tls import Tls


class BlockingClient:
    """One model server at `grpc(s)://host:port` or `http(s)://host:port`; a context manager.

    With an s the connection is encrypted, and certificates must come from the authorities that
    come with the libraries, or from `tls`.

    Raises:
        ValueError: the URL is neither.
    """

    def __init__(self, url: str, *, timeout_seconds: float, tls: Tls | None = None) -> None:
        self.scheme, is_secure, self._address = _split(url)
        self._tls = (tls or Tls.load()) if is_secure else None
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
        return client_class(self.scheme)(self._address, self._tls)


def _split(url: str) -> tuple[Scheme, bool, str]:
    """The protocol, whether it is encrypted, and what a client's constructor takes."""
    parts = urlsplit(url)
    try:
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_address = False
    if not is_address or parts.scheme not in SCHEMES or parts.path.strip("/"):
        raise ValueError(f"{url}: write grpc://host:8500 or http://host:8501")
    scheme, is_secure = SCHEMES[parts.scheme]
    port = "" if parts.port or scheme == "grpc" else ":443" if is_secure else ":80"
    return scheme, is_secure, parts.netloc + port
