"""Around every request, as plain ASGI: its id, its record, one log line, metrics, and a last net.

An exception that nobody named ends here: logged once with its traceback, answered as a bare 500.
"""

from __future__ import annotations

import random
import re
import time
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.addresses import share_of
from app.errors import GatewayError, Refusal, let_go_of_frames
from app.http.open_inference.names import LIVE, READY, is_open_inference
from app.http.outcomes import Outcomes
from app.http.problems import problem_response
from app.http.record import STARTED_AT, UNROUTED, RequestRecord
from app.metrics.http import HttpMetrics
from app.tracing import Trace, Tracing, enter
from protocol.log_lines import escaped

REQUEST_ID_HEADER: Final = "X-Request-Id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_SERVER_ERROR: Final = 500
_HEAD: Final = "HEAD"
_QUIET: Final = frozenset({"/livez", "/readyz", "/healthz", "/metrics", LIVE, READY})
"""Probed every few seconds: logged at debug. Readiness logs its changes itself."""
_TRACED: Final = frozenset(
    {"model", "version", "version_label", "batch_size", "image_bytes", "files", "failed", "cache"}
)
"""Facts that become a span's attributes; times are spans of their own."""
_MAX_PATH: Final = 200
"""Characters of a path that no route has, in its log line."""
_SECURITY_HEADERS: Final = {"X-Content-Type-Options": "nosniff"}


class Observe:
    """ASGI middleware: see the module."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: HttpMetrics,
        log: Any,
        tracing: Tracing | None = None,
        outcomes: Outcomes | None = None,
    ) -> None:
        self._app = app
        self._outcomes = outcomes or Outcomes()
        self._tracing = tracing
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; lifespan events pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        started_at = state.get(STARTED_AT, time.monotonic())
        record = state["record"] = RequestRecord(_request_id(scope), started_at, _peer(scope))
        record.is_open_inference = is_open_inference(scope["path"])
        status, method = 0, scope["method"]
        if method == _HEAD:  # routed as GET; the connection leaves the body out
            scope["method"] = "GET"
        if self._tracing is not None and scope["path"] not in _QUIET:
            trace = record.trace = self._tracing.begin(scope["headers"])
            record.facts["trace_id"] = trace.trace_id
            enter(trace)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, record)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - the last net: every request gets an answer
            response = problem_response(error, record)
            if status == 0:
                await response(scope, receive, send_with_headers)
        finally:
            self._finish(scope, record, status, method)

    def _finish(self, scope: Scope, record: RequestRecord, status: int, asked: str) -> None:
        seconds = time.monotonic() - record.started_at
        route = getattr(scope.get("route"), "path", UNROUTED)
        method = asked if route != UNROUTED else "*"  # clients can invent methods
        fields: dict[str, Any] = {
            "status": status,
            "method": asked,
            "route": route,
            "duration_ms": round(1000 * seconds, 2),
            "client": record.client,
            **record.facts,
            "request_id": record.request_id,
        }
        if route == UNROUTED:
            fields["path"] = _path(scope)
        if record.is_abandoned:
            fields["abandoned"] = True
        if record.trace is not None:
            _end(record.trace, route, method, status, record)
        self._write(route, status, record, fields)
        if record.problem_body is not None and route not in _QUIET:
            self._outcomes.note(
                record.problem_body, request_id=record.request_id, is_of_image=method == "POST"
            )
        self._metrics.request_done(
            route, method, status, seconds, problem=record.problem, refusal=_refusal(record.error)
        )
        let_go_of_frames(record.error)

    def _write(
        self, route: str, status: int, record: RequestRecord, fields: dict[str, Any]
    ) -> None:
        if record.problem is not None:
            fields["problem"] = record.problem
        if isinstance(record.error, GatewayError):
            fields["detail"] = record.error.detail
            if record.error.reason is not None:
                fields["reason"] = record.error.reason
        is_ours = isinstance(record.error, GatewayError)
        if route in _QUIET and (is_ours or status < _SERVER_ERROR):
            self._log.debug("request", **fields)
        elif status >= _SERVER_ERROR:
            self._log.error("request", **fields, exc_info=None if is_ours else record.error)
        else:
            self._log.info("request", **fields)


def _path(scope: Scope) -> str:
    """What was asked for, undecoded and without its query, which may hold what is secret."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return escaped(raw.decode("latin-1"), limit=_MAX_PATH)


def _refusal(error: Exception | None) -> Refusal | None:
    return error.refusal if isinstance(error, GatewayError) else None


def _end(trace: Trace, route: str, method: str, status: int, record: RequestRecord) -> None:
    attributes = {name: value for name, value in record.facts.items() if name in _TRACED}
    attributes |= {"http.request.method": method, "http.route": route}
    attributes["request_id"] = record.request_id
    if record.problem is not None:
        attributes["error.type"] = record.problem
    trace.end(f"{method} {route}", status, attributes)


def _request_id(scope: Scope) -> str:
    """The client's id if it is harmless in logs and headers, else a new one."""
    given = Headers(scope=scope).get(REQUEST_ID_HEADER)
    return given if given and _REQUEST_ID.fullmatch(given) else _new_request_id()


def _peer(scope: Scope) -> str:
    """Who the address at the other end of the connection is; empty on a UNIX socket."""
    address: tuple[str, int] | None = scope.get("client")
    return share_of(address[0]) if address else ""


def _new_request_id() -> str:
    """128 random bits; unique is enough, and the system's secure source costs a system call."""
    return f"{random.getrandbits(128):032x}"


def _add_headers(message: Message, record: RequestRecord) -> None:
    headers = MutableHeaders(scope=message)
    headers[REQUEST_ID_HEADER] = record.request_id
    if record.server_timing is not None:
        headers["Server-Timing"] = record.server_timing
    for name, value in _SECURITY_HEADERS.items():
        headers.setdefault(name, value)
