"""Which of httpx's transports carries the requests, and a lean one for plain HTTP.

httpcore spends 0.6 ms of CPU on a request, httpx's client as much again; on two cores that is a
quarter of what a gateway could answer (docs/classify.md has the measurement). Between a client
and a gateway over plain HTTP without a proxy the standard library's `http.client` does the same
work in 0.25 ms, so there it stands behind httpx's interface. TLS and proxies are httpx's own.
"""

from __future__ import annotations

import http.client
import select
import ssl
from collections import deque
from collections.abc import Callable, Iterator
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
        self._host = host
        self._port = port
        self._idle: deque[http.client.HTTPConnection] = deque(maxlen=_MAX_IDLE)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it and read the head of the answer; the body is read as its stream is iterated.

        Raises:
            httpx.TransportError: nothing was answered.
        """
        seconds = request.extensions["timeout"]["read"]
        connection = self._connection(seconds)
        try:
            answer = _exchange(connection, request)
        except BaseException:
            connection.close()
            raise
        body = _Body(answer, connection, self._give_back)
        return httpx.Response(answer.status, headers=list(answer.headers.items()), stream=body)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        while self._idle:
            try:
                kept = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            if kept.sock is not None and not _has_ended(kept):
                kept.sock.settimeout(seconds)
                return kept
            kept.close()
        made = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        made.response_class = Answer
        try:
            made.connect()
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except (OSError, UnicodeError) as error:  # a label of the host's name may be too long
            raise httpx.ConnectError(str(error)) from error
        return made

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        if connection.sock is not None:
            self._idle.append(connection)


def _has_ended(connection: http.client.HTTPConnection) -> bool:
    """An idle connection is only readable when the server has closed it."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([connection.sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _exchange(
    connection: http.client.HTTPConnection, request: httpx.Request
) -> http.client.HTTPResponse:
    path = request.url.raw_path.decode("ascii")
    connection.putrequest(request.method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.raw:
        connection.putheader(name.decode("ascii"), value)
    try:
        # Refused before all was sent: the answer, with its reason, may be there.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.endheaders(request.content or None)
        return connection.getresponse()
    except TimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except OSError as error:  # RemoteDisconnected is one
        raise httpx.ReadError(str(error) or type(error).__name__) from error
    except http.client.HTTPException as error:
        raise httpx.RemoteProtocolError(f"no HTTP answer ({type(error).__name__})") from error


class _Body(httpx.SyncByteStream):
    """The answer's body; once it is read the connection goes back."""

    def __init__(
        self,
        answer: http.client.HTTPResponse,
        connection: http.client.HTTPConnection,
        give_back: Callable[[http.client.HTTPConnection], None],
    ) -> None:
        self._answer = answer
        self._connection = connection
        self._give_back = give_back

    def __iter__(self) -> Iterator[bytes]:
        try:
            while chunk := self._answer.read(_CHUNK_BYTES):
                yield chunk
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        except (OSError, http.client.HTTPException) as error:
            raise httpx.ReadError(str(error) or type(error).__name__) from error
        if self._answer.isclosed():
            self._give_back(self._connection)

    def close(self) -> None:
        """Close the connection unless the body was read to its end."""
        if not self._answer.isclosed():
            self._connection.close()
            self._answer.close()
