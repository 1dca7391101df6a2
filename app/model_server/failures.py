"""What a call's failure is called here: the one table, whatever protocol the call went over."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

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
from protocol.client import CallError, ProtocolError
from protocol.codes import Code
from protocol.models import ModelSpec

_UNKNOWN_LABEL: Final = "Unrecognized servable version label"
"""How TensorFlow Serving starts its INVALID_ARGUMENT for a label that nobody assigned."""

_REFUSED: Final = (RefusedByModelServerError, "the model server refused the request")
_UNAVAILABLE: Final = (ModelServerUnavailableError, "the model server cannot be reached")

_KINDS: Final[dict[Code, tuple[Callable[..., GatewayError], str]]] = {
    Code.INVALID_ARGUMENT: _REFUSED,
    Code.FAILED_PRECONDITION: _REFUSED,
    Code.OUT_OF_RANGE: _REFUSED,
    Code.DEADLINE_EXCEEDED: (
        DeadlineExceededError,
        "the model server did not answer within the deadline",
    ),
    # Its threads or its batch queue are full with other clients' work: passed on and not retried,
    # for retries feed an overload.
    Code.RESOURCE_EXHAUSTED: (
        partial(OverloadedError, refusal="model_server"),
        "the model server is overloaded",
    ),
    Code.UNAVAILABLE: _UNAVAILABLE,
    Code.CANCELLED: _UNAVAILABLE,  # a model server that stops cancels its calls
}


def translate(error: ProtocolError, spec: ModelSpec) -> GatewayError:
    """Our error for a failed call; the model server's own words are kept for the log only."""
    if not isinstance(error, CallError):
        return ModelServerError("the model server's answer cannot be read", reason=str(error))
    if error.code is Code.NOT_FOUND or error.message.startswith(_UNKNOWN_LABEL):
        kind: Callable[..., GatewayError]
        kind = ModelVersionNotFoundError if spec.is_pinned else ModelNotFoundError
        return kind(f"{spec} is not served", reason=str(error))
    kind, detail = _KINDS.get(error.code, (ModelServerError, "the model server failed"))
    return kind(detail, reason=str(error))
