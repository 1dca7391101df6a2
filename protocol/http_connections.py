"""How often a server behind HTTP keep-alive connections may have become another one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import httpx

Trace = Callable[[str, Mapping[str, Any]], Awaitable[None]]
"""httpcore's trace extension: told what happens on a request's connection."""

_CONNECTING: Final = "connection.connect_tcp.started"
_CONNECTED: Final = "connection.connect_tcp.complete"
_SENDING: Final = "http11.send_request_headers.started"


class HttpConnections:
    """Counts the connections that may lead to another process than those before.

    A client opens connections as it needs them. One that is opened while another is answered leads
    to whom that one leads; one that is opened alone, or after one broke, may not.
    """

    def __init__(self) -> None:
        self.count = 0
        self._at_work = 0
        self._answers = 0
        self._has_broken = False

    @contextmanager
    def watched(self) -> Iterator[Trace]:
        """One request; give its `trace` extension what this yields."""
        is_at_work = False
        answers = self._answers

        async def trace(event: str, _: Mapping[str, Any]) -> None:
            nonlocal is_at_work, answers
            if event == _CONNECTING:
                answers = self._answers
            elif event == _CONNECTED:
                is_beside_another = self._at_work > 0 or self._answers > answers
                if self._has_broken or not is_beside_another:
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
        else:
            self._answers += 1
        finally:
            self._at_work -= is_at_work
