"""Routes that refuse query parameters which they do not know.

`?topk=1` would otherwise be answered as if nobody had asked for one class.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute

from app.errors import InvalidParameterError

_MAX_NAME: Final = 64
"""So much of an unknown name is repeated, and compared with ours."""
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """FastAPI's, for the `route_class` of routers; a request without a query pays nothing."""

    def get_route_handler(self) -> _Handler:
        """See `APIRoute.get_route_handler`, FastAPI's own place for such things."""
        handle = super().get_route_handler()
        known = frozenset(
            field.alias
            for field in get_flat_params(self.dependant)
            if isinstance(field.field_info, params.Query)
        )

        async def handle_known(request: Request) -> Response:
            query: bytes = request.scope["query_string"]
            if query:
                _check(query, known)
            return await handle(request)

        return handle_known


def _check(query: bytes, known: frozenset[str]) -> None:
    for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in known:
            raise InvalidParameterError(name[:_MAX_NAME], _advice(name[:_MAX_NAME], known))


def _advice(name: str, known: frozenset[str]) -> str:
    if not known:
        return "is no parameter: this route has none"
    close = get_close_matches(name.lower().replace("-", "_"), sorted(known), n=1)
    if close:
        return f"is no parameter of this route; did you mean {close[0]}?"
    return f"is no parameter of this route; it has {', '.join(sorted(known))}"
