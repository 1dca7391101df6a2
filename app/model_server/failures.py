"""Canonical codes to our errors: the one table that both protocols translate with."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from app.errors import (
    DeadlineExceededError,
    GatewayError,
    ModelNotFoundError,
    ModelServerError,
    ModelServerUnavailableError,
    ModelVersionNotFoundError,
    OverloadedError,
    RefusedByModelServerError,
)

if TYPE_CHECKING:
    from app.model_server.base import Servable

_UNKNOWN_LABEL: Final = "Unrecognized servable version label"
"""How TensorFlow Serving starts its INVALID_ARGUMENT for a label that nobody assigned."""

_RETRY_AFTER_SECONDS: Final = 1.0


class Code(IntEnum):
    """The canonical status codes of gRPC and of TensorFlow Serving."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @classmethod
    def name_of(cls, number: int) -> str:
        """The code's name; a number outside the list stays a number."""
        return cls(number).name if number in cls._value2member_map_ else str(number)


_REFUSED: Final = (RefusedByModelServerError, "the model server refused the request")
_UNAVAILABLE: Final = (ModelServerUnavailableError, "the model server cannot be reached")

_KINDS: Final[dict[Code, tuple[type[GatewayError], str]]] = {
    Code.INVALID_ARGUMENT: _REFUSED,
    Code.FAILED_PRECONDITION: _REFUSED,
    Code.OUT_OF_RANGE: _REFUSED,
    Code.DEADLINE_EXCEEDED: (
        DeadlineExceededError,
        "the model server did not answer within the deadline",
    ),
    Code.UNAVAILABLE: _UNAVAILABLE,
    Code.CANCELLED: _UNAVAILABLE,  # a model server that stops cancels its calls
}


def failure(code: Code, message: str, servable: Servable) -> GatewayError:
    """Our error for a failed call; `message` (the model server's) is kept for the log only.

    RESOURCE_EXHAUSTED means that the model server's threads or batch queue are full with other
    clients' work: it is passed on as overload and not retried, for retries feed an overload.
    """
    reason = f"{code.name}: {message}"
    if code is Code.NOT_FOUND or message.startswith(_UNKNOWN_LABEL):
        return _not_found(servable, reason)
    if code is Code.RESOURCE_EXHAUSTED:
        return OverloadedError(
            "the model server is overloaded",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
            reason=reason,
        )
    kind, detail = _KINDS.get(code, (ModelServerError, "the model server failed"))
    return kind(detail, reason=reason)


def _not_found(servable: Servable, reason: str) -> GatewayError:
    if servable.version is None and servable.label is None:
        return ModelNotFoundError(f"{servable} is not served", reason=reason)
    return ModelVersionNotFoundError(f"{servable} is not served", reason=reason)
