"""What the connections of one server have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp

from app.http.connection.census import Census
from app.http.connection.limits import Limits
from app.http.gate import Gate
from app.http.refusals import Refusals

_SCRATCH_BYTES: Final = 131_072


@dataclass(frozen=True, slots=True)
class Shared:
    """One per server."""

    app: ASGIApp
    limits: Limits
    census: Census
    gate: Gate
    refusals: Refusals
    client_of: Callable[[str], str]
    """The client that an address belongs to; "" for one that many are behind."""
    scratch: memoryview
    """Everything is read into this and used at once: a buffer each would be memory for nothing."""


def new_scratch() -> memoryview:
    """A buffer for `Shared`."""
    return memoryview(bytearray(_SCRATCH_BYTES))
