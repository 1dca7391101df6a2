"""Who may call, as plain ASGI around the routes; each part is there only where it is configured.

    Observe ─► PortGuard ─► HostGuard ─► Cors ─► ClientGuard ─► routes
               404          421          (pages)  address, key (401), limits (429)

The paths that need no key are named here; every other one needs one, and so do paths that do not
exist. It is decided by the path that routing sees, so that no spelling of one is protected less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.hosts import AllowedHosts
from app.access.limits import Limiter, Meter
from app.errors import GatewayError, MisdirectedRequestError, RequestError
from app.http.callers import Callers
from app.http.open_inference.names import HEADER_LENGTH
from app.http.ports import PROBES, is_admin, is_docs, is_problem
from app.http.problems import problem_response
from app.http.record import RequestRecord

_OPEN: Final = PROBES | {"/", "/openapi.json"}
_CORS_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    HEADER_LENGTH,
    "Traceparent",
    "Tracestate",
    "X-API-Key",
    "X-Request-Id",
    "X-Request-Timeout-Ms",
    "X-Sticky-Key",
)
_CORS_EXPOSED: Final = (
    "Age",
    "Cache-Status",
    HEADER_LENGTH,
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Server-Timing",
    "X-Request-Id",
)


class HostGuard:
    """ASGI middleware: requests for our own names come in."""

    def __init__(self, app: ASGIApp, *, hosts: AllowedHosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; lifespan events pass through."""
        if scope["type"] != "http" or _is_free(scope) or self._is_ours(scope):
            await self._app(scope, receive, send)
            return
        error = MisdirectedRequestError("this gateway does not answer for that host")
        await problem_response(error, _record(scope))(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        return self._hosts.allows(Headers(scope=scope).get("host", ""))


class Cors(CORSMiddleware):
    """Starlette's, for the routes that we have, and with a problem where it says no."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST"),
            allow_headers=_CORS_HEADERS,
            expose_headers=_CORS_EXPOSED,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a browser that asks whether it may."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:  # noqa: PLR2004 - it may
            return response
        return _ForeignPage()


class _ForeignPage(Response):
    """A problem that is made when it is sent: only then is the request's record known."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the preflight."""
        error = RequestError("a page of that origin may not call this")
        response = problem_response(error, _record(scope))
        response.headers["Vary"] = "Origin"
        await response(scope, receive, send)


class ClientGuard:
    """ASGI middleware: whose request it is, whether it may come in, and what it has left."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        callers: Callers,
        per_address: Limiter | None = None,
        per_key: Limiter | None = None,
    ) -> None:
        """Wrap the routes; None asks nothing of that kind.

        Args:
            app: what comes next.
            callers: knows whose request it is.
            per_address: counts images of each address.
            per_key: counts images of each key's owner.
        """
        self._app = app
        self._callers = callers
        self._per_address = per_address
        self._per_key = per_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; lifespan events and probes pass through."""
        if scope["type"] != "http" or _is_free(scope):
            await self._app(scope, receive, send)
            return
        record, meters = _record(scope), list[Meter]()

        async def send_with_limits(message: Message) -> None:
            if meters and message["type"] == "http.response.start":
                _add_limits(MutableHeaders(scope=message), meters)
            await send(message)

        try:
            self._admit(scope, record, meters)
        except GatewayError as error:
            record.facts["client"] = record.client  # by address too: who guesses keys?
            await problem_response(error, record)(scope, receive, send_with_limits)
        else:
            record.charge = _charging(meters)
            await self._app(scope, receive, send_with_limits)

    def _admit(self, scope: Scope, record: RequestRecord, meters: list[Meter]) -> None:
        headers = scope["headers"]
        if scope.get("client"):
            record.client = self._callers.address(headers, scope["client"][0])
        if self._per_address is not None:
            _enter(Meter("address", self._per_address, record.client), meters)
        if self._callers.have_keys and not _is_open(scope["path"]):
            record.client = record.facts["client"] = self._callers.owner(headers)
            if self._per_key is not None:
                _enter(Meter("key", self._per_key, record.client), meters)


def _enter(meter: Meter, meters: list[Meter]) -> None:
    meters.append(meter)  # first, so that a refusal says what it counts too
    meter.admit()


def _charging(meters: Sequence[Meter]) -> Callable[[int], None]:
    def charge(images: int) -> None:
        for meter in meters:
            meter.charge(images)

    return charge


def _is_open(path: str) -> bool:
    return path in _OPEN or is_docs(path) or is_problem(path)


def _is_free(scope: Scope) -> bool:
    """Nothing is asked of probes, and of whom the second port's own guards let in."""
    return scope["path"] in PROBES or is_admin(scope)


def _add_limits(headers: MutableHeaders, meters: Sequence[Meter]) -> None:
    """The two fields of draft-ietf-httpapi-ratelimit-headers-11 (23 May 2026), an item per meter.

    A policy (3.1) is a string with `q`, its quota, and `w`, its window in seconds; the unit is the
    default, as no registered one counts images. A standing (4.1) has `r`, what is available, and
    `t`, the seconds within which the client can use no more than that: nobody who keeps to it is
    refused. Where nothing is left, `t` is what Retry-After says, which must not be earlier (6).
    Neither `r` by `t` nor `q` by `w` is more than the policy lets through for ever (8.5).
    """
    policies, standings = [], []
    for meter in meters:
        now = meter.standing()
        policies.append(f'"{meter.policy}";q={now.rate.quota};w={now.rate.window_seconds:.0f}')
        standings.append(f'"{meter.policy}";r={now.remaining};t={math.ceil(now.window_seconds)}')
    headers["RateLimit-Policy"] = ", ".join(policies)
    headers["RateLimit"] = ", ".join(standings)


def _record(scope: Scope) -> RequestRecord:
    found: RequestRecord = scope["state"]["record"]
    return found
