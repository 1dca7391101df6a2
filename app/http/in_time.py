"""What a route waits for while a client sends, and how it ends when the client goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from fastapi import Response

from app.errors import RequestTimeoutError
from app.http.record import RequestRecord
from app.tracing import span

_T = TypeVar("_T")

_CLIENT_CLOSED_REQUEST: Final = 499
"""nginx's number for it; nobody receives it, the log and the metrics do."""


async def in_time(reading: Coroutine[Any, Any, _T], deadline: float) -> _T:
    """A body that trickles in must not hold its place beyond the deadline."""
    try:
        with span("read"):
            async with asyncio.timeout(deadline - time.monotonic()):
                return await reading
    except TimeoutError as error:
        raise RequestTimeoutError("the body did not arrive within the deadline") from error


def abandoned(record: RequestRecord) -> Response:
    """The answer that nobody receives: the client is gone."""
    record.is_abandoned = True
    return Response(status_code=_CLIENT_CLOSED_REQUEST)
