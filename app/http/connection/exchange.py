"""One request and its answer as ASGI sees them: `receive` gives the body, `send` writes."""

from __future__ import annotations

import asyncio
import logging
import re
from http import HTTPStatus
from typing import Any, Final, Protocol

from starlette.types import ASGIApp, Message, Scope

from app.http.connection.head import Head
from app.http.departure import DEPARTURE, Departure

_log = logging.getLogger("uvicorn.error")

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_NO_BODY: Final = frozenset({204, 304})
_BAD_NAME: Final = re.compile(rb"[^!#$%&'*+\-.^_`|~0-9A-Za-z]")
_BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Line(Protocol):
    """What an exchange needs of its connection."""

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers of every answer."""
        ...

    def write(self, data: bytes) -> None:
        """Send, or queue for sending."""
        ...

    async def drain(self) -> None:
        """Return once the client has read enough of what waits."""
        ...

    def body_taken(self) -> None:
        """The application has taken what had arrived."""
        ...

    def keeps_alive(self, head: Head) -> bool:
        """Whether another request may follow; decided when the answer begins."""
        ...

    def answered(self, *, keep_alive: bool) -> None:
        """The answer is complete."""
        ...

    def abort(self) -> None:
        """Close at once: the answer cannot be completed."""
        ...


class Exchange:
    """The state of one request, from its head to the end of its answer."""

    def __init__(self, line: Line, head: Head, scope: Scope, *, has_body: bool) -> None:
        self._line = line
        self._head = head
        self._scope = scope
        self._departure = scope["state"][DEPARTURE] = Departure()
        self._chunks: list[bytes] = []
        self._more_body = has_body
        self._news = asyncio.Event()
        if not has_body:
            self._news.set()
        self._error: Exception | None = None
        self.awaits_continue = head.expects_continue and has_body
        self.buffered_bytes = 0
        # The answer
        self._start: bytes | None = None
        """Status line and headers, written together with the first piece of the body."""
        self._is_chunked = False
        self._length_left = 0
        self._keep_alive = False
        self.is_started = False
        self.is_complete = False

    async def run(self, app: ASGIApp) -> None:
        """Let the application answer; an exchange always ends with a complete answer or closes."""
        try:
            await app(self._scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._line.abort()
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the client must not wait for more
            _log.exception("the application failed")
            self._line.abort()
            return
        if not self.is_complete and not self._departure.has_happened:
            _log.error("the application returned without a complete answer")
            self._line.abort()

    def body_arrived(self, chunks: list[bytes], *, is_complete: bool) -> None:
        """More of the body, empty or not."""
        self._chunks += chunks
        self.buffered_bytes += sum(map(len, chunks))
        if is_complete:
            self._more_body = False
        self._news.set()

    def body_failed(self, error: Exception) -> None:
        """The rest of the body will never be had: `receive` raises the error."""
        self._error = error
        self._news.set()

    def disconnected(self) -> None:
        """The client is gone."""
        self._departure.happen()
        self._chunks = []
        self._news.set()

    async def receive(self) -> Message:
        """ASGI: all of the body that has arrived; later, that the client has gone."""
        if self.awaits_continue and not self.is_started:
            self.awaits_continue = False
            self._line.write(_CONTINUE)
        if not (self._departure.has_happened or self.is_complete):
            await self._news.wait()
            self._news.clear()
        if self._error is not None:
            raise self._error
        if self._departure.has_happened or self.is_complete:
            return {"type": "http.disconnect"}
        chunks, self._chunks = self._chunks, []
        self.buffered_bytes = 0
        if self._more_body:
            self._line.body_taken()
        return {
            "type": "http.request",
            "body": chunks[0] if len(chunks) == 1 else b"".join(chunks),
            "more_body": self._more_body,
        }

    async def send(self, message: Message) -> None:
        """ASGI: the answer's start, then its body."""
        await self._line.drain()
        if self._departure.has_happened:
            return
        if not self.is_started:
            self._begin(message)
        elif not self.is_complete:
            self._continue(message)
        else:
            raise RuntimeError("the answer is complete")

    def _begin(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            raise RuntimeError(f"expected http.response.start, got {message['type']}")
        status: int = message["status"]
        pieces = [_status_line(status)]
        length: int | None = None
        asks_to_close = False
        for name, value in (*self._line.default_headers, *message.get("headers", ())):
            if _BAD_NAME.search(name) or _BAD_VALUE.search(value):
                raise RuntimeError(f"a header cannot be sent: {name!r}")
            if name.lower() == b"content-length":
                length = int(value)
            elif name.lower() == b"connection":
                asks_to_close = b"close" in value.lower()
            pieces += (name, b": ", value, b"\r\n")
        self._keep_alive = not asks_to_close and self._line.keeps_alive(self._head)
        if not self._keep_alive and not asks_to_close:
            pieces.append(b"connection: close\r\n")
        is_bodiless = self._head.method == "HEAD" or status in _NO_BODY
        self._is_chunked = length is None and not is_bodiless
        if self._is_chunked:
            pieces.append(b"transfer-encoding: chunked\r\n")
        self._length_left = 0 if is_bodiless else length or 0
        pieces.append(b"\r\n")
        self._start = b"".join(pieces)
        self.is_started = True

    def _continue(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            raise RuntimeError(f"expected http.response.body, got {message['type']}")
        body: bytes = message.get("body", b"")
        has_more: bool = message.get("more_body", False)
        if self._head.method == "HEAD":
            body = b""
        elif self._is_chunked:
            body = _chunk(body, is_last=not has_more)
        else:
            self._length_left -= len(body)
            if self._length_left < 0 or (self._length_left and not has_more):
                raise RuntimeError("the body has not the length that its header says")
        if self._start is not None:
            body, self._start = self._start + body, None
        self._line.write(body)
        if not has_more:
            self.is_complete = True
            self._news.set()
            self._line.answered(keep_alive=self._keep_alive)


def _chunk(body: bytes, *, is_last: bool) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return chunk + b"0\r\n\r\n" if is_last else chunk


def _status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def scope_of(
    head: Head,
    *,
    client: tuple[str, int] | None,
    server: tuple[str, int | None] | None,
    state: dict[str, Any],
) -> Scope:
    """The ASGI scope of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": head.version,
        "server": server,
        "client": client,
        "scheme": "http",
        "root_path": "",
        "method": head.method,
        "path": head.path,
        "raw_path": head.raw_path,
        "query_string": head.query,
        "headers": head.headers,
        "state": state,
    }
