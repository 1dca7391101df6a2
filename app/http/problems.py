"""Errors to HTTP, the only such map: RFC 9457 problem details for every answer that is not 2xx.

Under /v2 the Open Inference Protocol has its own form: the same status, and a detail alone.

docs/reference/problems.md has a row for each `type`; a test walks the tree of errors and the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app import errors
from app.http.record import RequestRecord

TYPE_PREFIX: Final = "/problems/"
MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One row of the table."""

    status: int
    slug: str
    title: str


_INTERNAL: Final = ProblemType(500, "internal-error", "The gateway failed")

PROBLEM_TYPES: Final[dict[type[errors.GatewayError], ProblemType]] = {
    errors.GatewayError: _INTERNAL,
    errors.RequestError: ProblemType(400, "bad-request", "The request cannot be understood"),
    errors.InvalidImageError: ProblemType(422, "invalid-image", "The image cannot be decoded"),
    errors.ImageTooCostlyError: ProblemType(
        422, "image-too-costly", "The image takes too long to decode"
    ),
    errors.UnsupportedMediaTypeError: ProblemType(
        415, "unsupported-media-type", "The body's content type is not supported"
    ),
    errors.PayloadTooLargeError: ProblemType(
        413, "payload-too-large", "The request body is too large"
    ),
    errors.ImageTooLargeError: ProblemType(413, "image-too-large", "The image is too large"),
    errors.RequestTimeoutError: ProblemType(
        408, "request-timeout", "The request did not arrive in time"
    ),
    errors.UrlTooLongError: ProblemType(414, "url-too-long", "The request's URL is too long"),
    errors.HeadersTooLargeError: ProblemType(
        431, "headers-too-large", "The request's headers are too large"
    ),
    errors.InvalidParameterError: ProblemType(
        422, "invalid-parameter", "A parameter has a value that is not allowed"
    ),
    errors.UnauthorizedError: ProblemType(401, "unauthorized", "An API key is needed"),
    errors.MisdirectedRequestError: ProblemType(
        421, "misdirected-request", "The request is for another host"
    ),
    errors.ModelError: ProblemType(502, "model-unusable", "The model cannot be used"),
    errors.ModelNotFoundError: ProblemType(404, "model-not-found", "There is no such model"),
    errors.ModelVersionNotFoundError: ProblemType(
        404, "model-version-not-found", "There is no such version of the model"
    ),
    errors.OverloadedError: ProblemType(429, "overloaded", "Too much work is waiting"),
    errors.RateLimitedError: ProblemType(429, "rate-limited", "The client sends too much"),
    errors.TooManyConnectionsError: ProblemType(
        503, "too-many-connections", "Too many connections are open"
    ),
    errors.DeadlineExceededError: ProblemType(504, "deadline-exceeded", "The deadline passed"),
    errors.ModelServerError: ProblemType(502, "model-server-error", "The model server failed"),
    errors.RefusedByModelServerError: ProblemType(
        502, "refused-by-model-server", "The model server refused the request"
    ),
    errors.ModelServerUnavailableError: ProblemType(
        503, "model-server-unavailable", "The model server cannot be reached"
    ),
    errors.ModelNotReadyError: ProblemType(503, "model-not-ready", "The model is not ready"),
}

HTTP_PROBLEM_TYPES: Final[dict[int, ProblemType]] = {
    404: ProblemType(404, "not-found", "There is nothing at this path"),
    405: ProblemType(405, "method-not-allowed", "The path does not take this method"),
}


def problem_type(error: Exception) -> ProblemType:
    """The row for an error: its class's, or the nearest ancestor's."""
    for ancestor in type(error).__mro__:
        if (found := PROBLEM_TYPES.get(ancestor)) is not None:
            return found
    return _INTERNAL


def problem_body(error: Exception, *, request_id: str | None = None) -> dict[str, Any]:
    """The problem as a mapping; of unknown exceptions it says nothing but that they happened."""
    kind = problem_type(error)
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": kind.status,
    }
    if isinstance(error, errors.GatewayError):
        body["detail"] = error.detail
    if isinstance(error, errors.InvalidParameterError):
        body["parameter"] = error.parameter
    if request_id is not None:
        body["request_id"] = request_id
    return body


def problem_response(error: Exception, record: RequestRecord) -> Response:
    """The answer to an error; notes the problem on the request's record."""
    record.problem, record.error = problem_type(error).slug, error
    if isinstance(error, errors.GatewayError):
        record.warn(error.warnings)
    headers = retry_after(error)
    if isinstance(error, errors.UnauthorizedError):
        headers["WWW-Authenticate"] = error.challenge
    if isinstance(error, errors.RequestTimeoutError):
        headers["Connection"] = "close"  # what is still to come is not waited for
    record.problem_body = problem_body(error, request_id=record.request_id)
    return _response(record.problem_body, headers, record)


def http_problem_response(error: HTTPException, record: RequestRecord) -> Response:
    """The answer to what routing refuses: unknown paths, wrong methods."""
    phrase = HTTPStatus(error.status_code).phrase
    kind = HTTP_PROBLEM_TYPES.get(error.status_code) or ProblemType(
        error.status_code, phrase.lower().replace(" ", "-"), phrase
    )
    record.problem = kind.slug
    record.problem_body = body = {
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "request_id": record.request_id,
    }
    return _response(body, error.headers, record)


async def on_gateway_error(request: Request, error: Exception) -> Response:
    """Starlette exception handler."""
    return problem_response(error, request.state.record)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette exception handler."""
    if not isinstance(error, HTTPException):
        return problem_response(error, request.state.record)
    return http_problem_response(error, request.state.record)


async def on_validation_error(request: Request, error: Exception) -> Response:
    """Starlette exception handler: FastAPI found a parameter wrong."""
    if not isinstance(error, RequestValidationError):
        return problem_response(error, request.state.record)
    first = error.errors()[0]
    parameter = str(first["loc"][-1])
    ours = errors.InvalidParameterError(parameter, str(first["msg"]))
    return problem_response(ours, request.state.record)


def _response(
    problem: Mapping[str, Any], headers: Mapping[str, str] | None, record: RequestRecord
) -> Response:
    status, media_type = problem["status"], MEDIA_TYPE
    if record.is_open_inference:
        problem, media_type = open_inference_error(problem), "application/json"
    return Response(to_json(problem), status_code=status, headers=headers, media_type=media_type)


def open_inference_error(problem: Mapping[str, Any]) -> dict[str, str]:
    """A problem as the Open Inference Protocol writes errors."""
    return {"error": problem.get("detail") or problem["title"]}


def retry_after(error: Exception) -> dict[str, str]:
    """The header of errors that say when to try again."""
    seconds: float | None = getattr(error, "retry_after_seconds", None)
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}
