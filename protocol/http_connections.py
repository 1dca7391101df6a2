"""How often a server behind HTTP keep-alive connections may have become another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx

Trace = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""httpcore's trace extension: told what happens on a request's connection."""

_CONNECTED: Final = "connection.connect_tcp.complete"
_SENDING: Final = "http11.send_request_headers.started"


class HttpConnections:
    """Counts the connections that may lead to another process than those before.

    A client opens connections as it needs them. One that is opened beside others which work leads
    to whom they lead; one that is opened when there is none, or after one broke, may not.
    """

    def __init__(self) -> None:
        self.count = 0
        self._at_work = 0
        self._has_broken = False

    @contextmanager
    def watched(self) -> Iterator[Trace]:
        """One request; give its `trace` extension what this yields."""
        is_at_work = False

        async def trace(event: str, _: Mapping[str, Any]) -> None:
            nonlocal is_at_work
            if event == _CONNECTED and (self._has_broken or not self._at_work):
                self.count += 1
                self._has_broken = False
            elif event == _SENDING and not is_at_work:
                is_at_work = True
                self._at_work += 1

        try:
            yield trace
        except (httpx.TransportError, TimeoutError):
            self._has_broken = True
            raise
        finally:
            self._at_work -= is_at_work
