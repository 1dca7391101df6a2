"""Problems as complete HTTP/1.1 responses: for requests that are refused before the application.

Such an answer is built once and written many times, so it names no request: it has neither a
`request_id` nor a Date.
"""

from __future__ import annotations

from http import HTTPStatus

from pydantic_core import to_json

from app.errors import GatewayError
from app.http.problems import MEDIA_TYPE, open_inference_error, problem_body, retry_after


def canned_response(error: GatewayError, *, is_open_inference: bool = False) -> bytes:
    """Status line, headers and body of an error's problem; the connection may stay open."""
    problem = problem_body(error)
    shown = open_inference_error(problem) if is_open_inference else problem
    body, status = to_json(shown), HTTPStatus(problem["status"])
    headers = {
        "content-type": "application/json" if is_open_inference else MEDIA_TYPE,
        "content-length": str(len(body)),
        "x-content-type-options": "nosniff",
        **retry_after(error),
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name.lower()}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def closing(response: bytes) -> bytes:
    """The same response, saying that the connection ends with it."""
    return response.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
