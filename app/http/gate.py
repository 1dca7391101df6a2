"""The gate: the first who sees a request's head, and the last who sees it when there is overload.

A request that the gate refuses costs a verdict that somebody else keeps ready, a counter and a
write: no routing, no ASGI, no log line of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from app.errors import OverloadedError
from app.http.callers import Callers, RawHeaders
from app.http.canned import canned_response
from app.http.open_inference.names import INFER
from app.http.refusals import Refusals

_GATED: Final = frozenset({b"/classify", b"/classify/batch"})
"""What costs model time. Health, metrics and models answer whatever the load."""
_CANNED_RESPONSES: Final = 64
"""So many are kept: a verdict's words and its Retry-After come from small sets."""

Verdict = Callable[[str], OverloadedError | None]
"""Why a request from this client cannot be taken now; None lets it in. O(1)."""


class Gate(Protocol):
    """Asked once for each request, before any of its body is read."""

    def refuse(self, method: str, path: bytes, peer: str, headers: RawHeaders) -> bytes | None:
        """A complete response that refuses the request, or None.

        `path` is the target without its query, not decoded; `peer` is the address at the other
        end, empty on a UNIX socket.
        """
        ...


class OverloadGate:
    """Refuses classifications while the verdict is against them.

    Who shows no key where one is needed is let through, to be refused inside: no place is promised
    to him, so that a flood without keys takes none from those who have one.
    """

    def __init__(self, verdict: Verdict, refusals: Refusals, callers: Callers) -> None:
        self._callers = callers
        self._verdict = verdict
        self._refusals = refusals
        self._canned: dict[tuple[str, float, bool], bytes] = {}

    def refuse(self, method: str, path: bytes, peer: str, headers: RawHeaders) -> bytes | None:
        """As `Gate.refuse`."""
        if method != "POST" or not (path in _GATED or _is_infer(path)):
            return None
        client = self._callers.client(headers, peer)
        if client is None:
            return None
        error = self._verdict(client)
        if error is None:
            return None
        is_infer = path not in _GATED
        self._refusals.note(error, route=INFER if is_infer else path.decode(), peer=client)
        return self._response(error, is_infer=is_infer)

    def _response(self, error: OverloadedError, *, is_infer: bool) -> bytes:
        key = (error.detail, error.retry_after_seconds, is_infer)
        response = self._canned.get(key)
        if response is None:
            if len(self._canned) >= _CANNED_RESPONSES:
                self._canned.clear()
            response = self._canned[key] = canned_response(error, is_open_inference=is_infer)
        return response


def _is_infer(path: bytes) -> bool:
    """Whether it is the Open Inference Protocol's route, of any model or version."""
    return path.startswith(b"/v2/models/") and path.endswith(b"/infer")
