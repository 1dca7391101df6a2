"""The gateway's problem types to exceptions; a test holds the table against the gateway's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sightserve.client import errors
from sightserve.client.errors import Problem, ProblemError, UnexpectedAnswerError

TYPE_PREFIX: Final = "/problems/"
_MEDIA_TYPE: Final = "application/problem+json"
_MAX_RETRY_AFTER_SECONDS: Final = 86_400.0
_SHOWN: Final = 120

ERRORS: Final[dict[str, type[ProblemError]]] = {
    "bad-request": errors.InvalidRequestError,
    "not-found": errors.InvalidRequestError,
    "method-not-allowed": errors.InvalidRequestError,
    "url-too-long": errors.InvalidRequestError,
    "unsupported-media-type": errors.InvalidRequestError,
    "misdirected-request": errors.InvalidRequestError,
    "headers-too-large": errors.InvalidRequestError,
    "invalid-parameter": errors.InvalidParameterError,
    "invalid-image": errors.InvalidImageError,
    "image-too-costly": errors.ImageTooCostlyError,
    "image-too-large": errors.ImageTooLargeError,
    "payload-too-large": errors.ImageTooLargeError,
    "unauthorized": errors.UnauthorizedError,
    "model-not-found": errors.UnknownModelError,
    "model-version-not-found": errors.UnknownVersionError,
    "overloaded": errors.OverloadedError,
    "rate-limited": errors.RateLimitedError,
    "too-many-connections": errors.UnavailableError,
    "model-not-ready": errors.UnavailableError,
    "model-server-unavailable": errors.UnavailableError,
    "request-timeout": errors.DeadlineError,
    "deadline-exceeded": errors.DeadlineError,
    "internal-error": errors.ServiceFailedError,
    "model-server-error": errors.ServiceFailedError,
    "model-unusable": errors.ServiceFailedError,
    "refused-by-model-server": errors.ServiceFailedError,
}

_HINTS: Final[dict[type[ProblemError], str]] = {
    errors.UnauthorizedError: "give the key, or set SIGHTSERVE_API_KEY",
}


def error_of(
    status: int, headers: Mapping[str, str], body: bytes, *, url: str, request_id: str
) -> ProblemError | UnexpectedAnswerError:
    """The exception for an answer that is not 2xx.

    Args:
        status: of the answer.
        headers: by name, in any case.
        body: the whole of it.
        url: the gateway's, for the message.
        request_id: what was sent, where the answer names none.
    """
    found = _json_object(body)
    retry_after = _seconds(headers.get("retry-after"))
    answered_id = headers.get("x-request-id") or request_id
    is_problem = headers.get("content-type", "").startswith(_MEDIA_TYPE)
    if not is_problem or found is None or not isinstance(found.get("type"), str):
        return UnexpectedAnswerError(
            _what_answered(status, body, found, url),
            status=status,
            request_id=answered_id,
            retry_after=retry_after,
            is_retriable=status in {429, 503},
        )
    problem = Problem(
        status=status,
        type=found["type"],
        title=str(found.get("title") or f"HTTP status {status}"),
        detail=_text(found.get("detail")),
        parameter=_text(found.get("parameter")),
        request_id=_text(found.get("request_id")) or answered_id,
        retry_after=retry_after,
    )
    kind = ERRORS.get(problem.type.removeprefix(TYPE_PREFIX), ProblemError)
    return kind(problem, hint=_HINTS.get(kind))


def not_a_gateway(status: int, body: bytes, *, url: str, request_id: str) -> UnexpectedAnswerError:
    """The exception for a 2xx answer that cannot be read."""
    message = _what_answered(status, body, _json_object(body), url)
    return UnexpectedAnswerError(message, status=status, request_id=request_id)


def _what_answered(status: int, body: bytes, found: dict[str, Any] | None, url: str) -> str:
    if found is not None and "Malformed request" in str(found.get("error")):
        return (
            f"{url} is a model server, not the gateway: give the gateway's URL "
            "(its port is 8000 unless set otherwise)"
        )
    shown = " ".join(body[:_SHOWN].decode("utf-8", "replace").split())
    said = f": {shown}" if shown else ", empty"
    return (
        f"{url} answered {status} with something that is not a gateway's answer{said} "
        "(a proxy in between, or the port of another server, such as the model server?)"
    )


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _seconds(value: str | None) -> float | None:
    """Retry-After in seconds; its other form, a date, no gateway sends."""
    if value is None or not value.strip().isdecimal():
        return None
    return min(float(value), _MAX_RETRY_AFTER_SECONDS)
