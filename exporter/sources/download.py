"""Bounds and progress for Keras' downloads, which come with neither.

Without network an export must fail in seconds. Keras fetches through urllib, whose opener is a
public hook: ours asks before each request whether the host accepts a connection at all, and counts
the bytes of the answer. urllib's own timeout would not do: it counts per address, and the host of
the weights has more than a dozen.
"""

from __future__ import annotations

import posixpath
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from exporter.errors import first_line
from exporter.settings import Settings

_PERCENT = 100


class _CountingResponse:
    """A response that reports each whole percent that was read."""

    def __init__(self, response: Any, on_percent: Callable[[int], None]) -> None:
        self._response = response
        self._on_percent = on_percent
        self._total = int(response.headers.get("Content-Length") or 0)
        self._read = 0
        self._reported = -1

    def read(self, *arguments: int) -> bytes:
        block: bytes = self._response.read(*arguments)
        self._read += len(block)
        percent = _PERCENT * self._read // self._total if self._total else 0
        if percent > self._reported:
            self._reported = percent
            self._on_percent(percent)
        return block

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)


class _BoundedHandler(urllib.request.BaseHandler):
    """Refuses requests to hosts that do not accept a connection in time; counts answers."""

    handler_order = 900  # answers: after the one that turns HTTP errors into exceptions

    def __init__(
        self, connect_timeout_seconds: float, on_progress: Callable[[str, int], None]
    ) -> None:
        self._timeout_seconds = connect_timeout_seconds
        self._on_progress = on_progress

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        self._require_reachable(request)
        return request

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        name = posixpath.basename(urlsplit(request.full_url).path)
        return _CountingResponse(response, lambda percent: self._on_progress(name, percent))

    https_request = http_request
    https_response = http_response

    def _require_reachable(self, request: urllib.request.Request) -> None:
        if request.type in urllib.request.getproxies():
            return  # the proxy connects; it answers for what it cannot reach
        parts = urlsplit(request.full_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        failure = _try_to_connect(parts.hostname or "", port, self._timeout_seconds)
        if failure:
            raise urllib.error.URLError(failure)


def _try_to_connect(host: str, port: int, timeout_seconds: float) -> str | None:
    """None when the host accepted a connection; else why not, after at most the timeout."""
    outcome = [f"{host} does not answer within {timeout_seconds:g} s"]

    def attempt() -> None:
        try:
            socket.create_connection((host, port), timeout=timeout_seconds).close()
        except OSError as error:
            outcome[0] = f"{host}: {error.strerror or error}"
        else:
            outcome[0] = ""

    # A thread, because name resolution takes no timeout; a daemon, so that it never delays exit.
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    return outcome[0] or None


@contextmanager
def bounded_downloads(
    settings: Settings, on_progress: Callable[[str, int], None]
) -> Iterator[None]:
    """Within it, urllib gives up on silent hosts and on stalled transfers, and reports progress.

    Args:
        settings: the two timeouts.
        on_progress: called with a file's name and each whole percent.
    """
    previous = socket.getdefaulttimeout()
    handler = _BoundedHandler(settings.connect_timeout_seconds, on_progress)
    urllib.request.install_opener(urllib.request.build_opener(handler))
    socket.setdefaulttimeout(settings.read_timeout_seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)
        urllib.request.install_opener(urllib.request.build_opener())


def failure_reason(error: BaseException) -> str:
    """Why a download failed: Keras wraps urllib's error into a bare Exception with the URL."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, urllib.error.HTTPError):
            return f"{cause.url} answers {cause.code}"
        if isinstance(cause, urllib.error.URLError):
            return str(cause.reason)
        cause = cause.__cause__ or cause.__context__
    return first_line(error)
