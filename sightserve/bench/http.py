"""The least that an HTTP/1.1 client can do: keep-alive connections, one request at a time on each.

A client that spends a millisecond on a request would take that from a service on the same machine.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sightserve.bench.errors import UsageError

_HEAD_END: Final = b"\r\n\r\n"
_FIRST_FINAL_STATUS: Final = 200
_PORTS: Final = {"http": 80, "https": 443}
_LARGEST_HEAD: Final = 65_536


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query."""

    @classmethod
    def of(cls, url: str, default_path: str = "/classify") -> Target:
        """Read a URL; one without a path gets the default.

        Raises:
            UsageError: it is no http or https URL.
        """
        parts = urlsplit(url)
        with suppress(ValueError):
            port = parts.port or _PORTS.get(parts.scheme, 0)
            if port and parts.hostname:
                path = default_path if parts.path in {"", "/"} else parts.path
                query = f"?{parts.query}" if parts.query else ""
                return cls(parts.scheme, parts.hostname, port, path + query)
        raise UsageError(f"{url}: write http://HOST:PORT or https://HOST:PORT")

    @property
    def netloc(self) -> str:
        """For the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole."""
        return f"{self.scheme}://{self.netloc}{self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


class NoHttpError(OSError):
    """What came back is not HTTP."""


class Client:
    """As many connections as there are requests at a time.

    Args:
        target: where they go.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._tls = ssl.create_default_context() if target.scheme == "https" else None
        self._idle: deque[_Connection] = deque()

    async def ask(self, request: bytes) -> Answer:
        """Send a whole request and wait for its answer.

        Raises:
            OSError: no connection, or it broke.
        """
        connection = self._take()
        if connection is not None:
            try:
                return await self._on(connection, request)
            except ConnectionResetError:  # closed while it was idle: nobody has read the request
                if connection.has_read:
                    raise
        return await self._on(await self._connect(), request)

    def close(self) -> None:
        """Drop idle connections."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connect(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            _Connection, self._target.host, self._target.port, ssl=self._tls
        )
        return connection

    async def _on(self, connection: _Connection, request: bytes) -> Answer:
        try:
            answer = await connection.ask(request)
        except BaseException:
            connection.close()
            raise
        if connection.is_open:
            self._idle.append(connection)
        return answer


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._received = bytearray()
        self.is_open = False
        self.has_read = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what asyncio promises
        self._transport = transport
        self.is_open = True

    async def ask(self, request: bytes) -> Answer:
        assert self._transport is not None  # noqa: S101 - as above
        self._answer = asyncio.get_running_loop().create_future()
        self._received.clear()
        self.has_read = False
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self.has_read = True
        self._received += data
        if self._answer is None or self._answer.done():
            self.close()  # nobody asked
            return
        try:
            parsed = _parse(self._received)
        except (ValueError, IndexError):
            self._fail(NoHttpError("the answer is not HTTP/1.1"))
            return
        if parsed is not None:
            answer, is_kept = parsed
            self._answer.set_result(answer)
            if not is_kept:
                self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._fail(ConnectionResetError("connection closed before the answer"), exc)

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def _fail(self, error: OSError, cause: Exception | None = None) -> None:
        error.__cause__ = cause
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def _parse(received: bytearray) -> tuple[Answer, bool] | None:
    """The answer and whether the connection stays open; None: there is more to come.

    Raises:
        ValueError: this is no HTTP/1.x.
    """
    if not (received.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(received[:7])):
        raise ValueError("no HTTP")
    end = received.find(_HEAD_END)
    if end < 0:
        if len(received) > _LARGEST_HEAD:
            raise ValueError("no end of the head")
        return None
    status = int(received[9:12])
    if status < _FIRST_FINAL_STATUS:
        del received[: end + len(_HEAD_END)]
        return _parse(received) if received else None
    headers = _headers(received[:end])
    is_kept = headers.get(b"connection", b"").lower() != b"close"
    start = end + len(_HEAD_END)
    if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
        body = _chunks(received, start)
    else:
        length = int(headers.get(b"content-length", b"0"))
        body = bytes(received[start : start + length]) if len(received) >= start + length else None
    return None if body is None else (Answer(status, body), is_kept)


def _headers(head: bytearray) -> dict[bytes, bytes]:
    lines = bytes(head).split(b"\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (x.partition(b":") for x in lines)}


def _chunks(received: bytearray, start: int) -> bytes | None:
    """A chunked body (RFC 9112, section 7.1); None: its end is still to come."""
    body = bytearray()
    while (end := received.find(b"\r\n", start)) >= 0:
        size = int(received[start:end].split(b";")[0], 16)
        start = end + 2
        if len(received) < start + size + 2:
            return None
        if size == 0:
            return bytes(body)
        body += received[start : start + size]
        start += size + 2
    return None
