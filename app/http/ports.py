"""The second port: what people who run the gateway ask, away from the one that clients reach.

One process and one application with two listeners. Whoever reaches the second port has passed
those who guard it: hosts, keys and limits are not asked for there.
"""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.open_inference.names import LIVE, READY
from app.http.problems import TYPE_PREFIX, http_problem_response

PROBES: Final = frozenset({"/livez", "/readyz", LIVE, READY})
"""For everybody, any host, any number: a kubelet asks by the pod's address and has no key."""
_HEALTH: Final = PROBES | {"/healthz"}
_ADMIN_ONLY: Final = frozenset({"/metrics", "/stats", "/openapi.json"})
_DOCS: Final = "/docs"
_IS_ADMIN: Final = "is_admin"
_NOT_FOUND: Final = 404
_PROBLEM_SLASHES: Final = TYPE_PREFIX.count("/")


class AdminPort:
    """ASGI application of the second port: the same one, told where a request came in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        scope.setdefault("state", {})[_IS_ADMIN] = True
        await self._app(scope, receive, send)


class PortGuard:
    """ASGI middleware, where there is a second port: each answers what is its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; lifespan events pass through."""
        if scope["type"] != "http" or self._is_here(scope):
            await self._app(scope, receive, send)
            return
        response = http_problem_response(HTTPException(_NOT_FOUND), scope["state"]["record"])
        await response(scope, receive, send)

    @staticmethod
    def _is_here(scope: Scope) -> bool:
        path = scope["path"]
        if is_admin(scope):
            return _is_admin_only(path) or path in _HEALTH or is_problem(path)
        return not _is_admin_only(path)


def _is_admin_only(path: str) -> bool:
    return path in _ADMIN_ONLY or is_docs(path)


def is_docs(path: str) -> bool:
    """Whether it is the documentation, or a file that it loads."""
    return path == _DOCS or path.startswith(_DOCS + "/")


def is_problem(path: str) -> bool:
    """Whether it is the page of one type of problem."""
    return path.startswith(TYPE_PREFIX) and path.count("/") == _PROBLEM_SLASHES


def is_admin(scope: Scope) -> bool:
    """Whether the request came in through the second port."""
    return _IS_ADMIN in scope["state"]
