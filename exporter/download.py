"""Bounds on Keras' downloads, which have none: without network an export must fail in seconds.

Keras fetches through urllib, whose opener is a public hook. Ours asks, before each request, whether
the host accepts a connection at all. urllib's own timeout would not do: it counts per address, and
the weights' host has more than a dozen.
"""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class _ReachabilityHandler(urllib.request.BaseHandler):
    """Refuses a request when its host does not accept a connection in time."""

    handler_order = 100  # before the handlers that connect

    def __init__(self, connect_timeout_seconds: float) -> None:
        self._timeout_seconds = connect_timeout_seconds

    def https_request(self, request: urllib.request.Request) -> urllib.request.Request:
        self._require_reachable(request, default_port=443)
        return request

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        self._require_reachable(request, default_port=80)
        return request

    def _require_reachable(self, request: urllib.request.Request, *, default_port: int) -> None:
        if request.type in urllib.request.getproxies():
            return  # the proxy connects; it answers for what it cannot reach
        host, _, port = (request.host or "").partition(":")
        failure = _try_to_connect(host, int(port or default_port), self._timeout_seconds)
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
    *, connect_timeout_seconds: float, read_timeout_seconds: float
) -> Iterator[None]:
    """Within it, urllib gives up on silent hosts and on stalled transfers."""
    previous = socket.getdefaulttimeout()
    urllib.request.install_opener(
        urllib.request.build_opener(_ReachabilityHandler(connect_timeout_seconds))
    )
    socket.setdefaulttimeout(read_timeout_seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)
        urllib.request.install_opener(urllib.request.build_opener())
