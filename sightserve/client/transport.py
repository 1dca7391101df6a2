"""Which of httpx's transports carries the requests, and a lean one for plain HTTP.

httpcore spends 0.6 ms of CPU on a request, httpx's client as much again; on two cores that is a
quarter of what a gateway could answer (docs/classify.md has the measurement). Between a client
and a gateway over plain HTTP without a proxy a socket and the standard library's `http.client`,
which reads the answer, do the same work in a third of that, so there they stand behind httpx's
interface. TLS and proxies are httpx's own.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from urllib.request import getproxies, proxy_bypass

import httpx

from sightserve.client.answer_head import Answer

_MAX_IDLE: Final = 64
_CHUNK_BYTES: Final = 1 << 20
Verify = ssl.SSLContext | bool


def transport_for(url: httpx.URL, verify: Verify) -> httpx.BaseTransport:
    """The transport for a gateway; threads may share it."""
    proxy = _proxy(url)
    if url.scheme == "http" and proxy is None:
        return PlainTransport(url.host, url.port or 80)
    return httpx.HTTPTransport(verify=verify, proxy=proxy, limits=_LIMITS)


def async_transport_for(url: httpx.URL, verify: Verify) -> httpx.AsyncBaseTransport:
    """The transport for a gateway, for one event loop."""
    return httpx.AsyncHTTPTransport(verify=verify, proxy=_proxy(url), limits=_LIMITS)


_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=_MAX_IDLE)


def _proxy(url: httpx.URL) -> str | None:
    """As the environment says, unless it exempts the host."""
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or url.host == "localhost" or url.host.startswith("127."):
        return None
    return None if proxy_bypass(url.host) else found


class PlainTransport(httpx.BaseTransport):
    """HTTP/1.1 without TLS to one host; connections are kept and used again, the latest first."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._idle: deque[socket.socket] = deque()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it and read the head of the answer; the body is read as its stream is iterated.

        Raises:
            httpx.TransportError: nothing was answered.
        """
        connection = self._connection(request.extensions["timeout"]["read"])
        try:
            answer = _exchange(connection, request)
        except BaseException:
            connection.close()
            raise
        body = _Body(answer, connection, self._idle)
        return httpx.Response(answer.status, headers=list(answer.headers.items()), stream=body)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _connection(self, seconds: float) -> socket.socket:
        while self._idle:
            try:
                kept = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            if not _has_ended(kept):
                kept.settimeout(seconds)
                return kept
            kept.close()
        try:
            made = socket.create_connection(self._address, seconds)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:  # a label of the host's name may be too long
            raise httpx.ConnectError(str(error)) from error
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


def _has_ended(connection: socket.socket) -> bool:
    """An idle connection is only readable when the server has closed it."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _exchange(connection: socket.socket, request: httpx.Request) -> Answer:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    answer = Answer(connection, method=request.method)
    try:
        # Refused before all was sent: the answer, with its reason, may be there.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"\r\n".join([*lines, b"", request.content]))
        answer.begin()
    except (OSError, http.client.HTTPException) as error:
        answer.close()
        raise _as_httpx(error) from error
    return answer


def _as_httpx(error: OSError | http.client.HTTPException) -> httpx.TransportError:
    if isinstance(error, TimeoutError):
        return httpx.ReadTimeout(str(error))
    if isinstance(error, OSError):  # RemoteDisconnected is one
        return httpx.ReadError(str(error) or type(error).__name__)
    return httpx.RemoteProtocolError(f"no HTTP answer ({type(error).__name__})")


class _Body(httpx.SyncByteStream):
    """The answer's body; once it is read the connection is idle."""

    def __init__(
        self, answer: Answer, connection: socket.socket, idle: deque[socket.socket]
    ) -> None:
        self._answer = answer
        self._connection = connection
        self._idle = idle
        self._is_read = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            while chunk := self._answer.read(_CHUNK_BYTES):
                yield chunk
        except (OSError, http.client.HTTPException) as error:
            raise _as_httpx(error) from error
        if self._answer.length:  # read() of a part does not complain
            raise httpx.ReadError("the answer ended early")
        self._is_read = True

    def close(self) -> None:
        """Keep the connection, if the answer was read to its end and the server keeps it too."""
        will_close = self._answer.will_close
        self._answer.close()
        if self._is_read and not will_close and len(self._idle) < _MAX_IDLE:
            self._idle.append(self._connection)
        else:
            self._connection.close()
