"""Every error the gateway knows; what each looks like over HTTP is decided in problems.py alone.

    GatewayError 500
    ├── RequestError 400
    │   ├── InvalidImageError 422
    │   ├── UnsupportedMediaTypeError 415
    │   ├── PayloadTooLargeError 413
    │   ├── ImageTooLargeError 413
    │   └── InvalidParameterError 422
    ├── ModelError 502                      the model cannot be used as configured
    │   ├── ModelNotFoundError 404
    │   └── ModelVersionNotFoundError 404
    ├── OverloadedError 429                 + Retry-After
    ├── DeadlineExceededError 504
    └── ModelServerError 502
        ├── RefusedByModelServerError 502   INVALID_ARGUMENT, FAILED_PRECONDITION
        ├── ModelServerUnavailableError 503 + Retry-After
        └── ModelNotReadyError 503          + Retry-After

`detail` goes to clients word for word, so it must never hold a foreign exception's text.
`reason` is what the log gets on top: the model server's own words, for example.
"""

from __future__ import annotations

from typing import Final

RETRY_AFTER_SECONDS: Final = 1.0
"""What a client is told to wait where nothing better is known."""


class GatewayError(Exception):
    """Something that the gateway can name."""

    def __init__(self, detail: str, *, reason: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason


class RequestError(GatewayError):
    """The request cannot be understood."""


class InvalidImageError(RequestError):
    """The bytes are not an image that can be decoded."""


class UnsupportedMediaTypeError(RequestError):
    """The body has a content type that is no image and no form."""


class PayloadTooLargeError(RequestError):
    """The body has more bytes, or more files, than is allowed."""


class ImageTooLargeError(RequestError):
    """The image has more pixels than is allowed."""


class InvalidParameterError(RequestError):
    """A parameter has a value that it cannot have."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(f"{parameter}: {detail}")
        self.parameter = parameter


class ModelError(GatewayError):
    """The model does not offer what the gateway needs from it."""


class ModelNotFoundError(ModelError):
    """The model server has no model of that name."""


class ModelVersionNotFoundError(ModelError):
    """The model has no such version, or no such version label."""


class OverloadedError(GatewayError):
    """More work waits than can be done within the deadline."""

    def __init__(
        self,
        detail: str,
        *,
        retry_after_seconds: float = RETRY_AFTER_SECONDS,
        reason: str | None = None,
    ) -> None:
        super().__init__(detail, reason=reason)
        self.retry_after_seconds = retry_after_seconds


class DeadlineExceededError(GatewayError):
    """The request's time is over."""


class ModelServerError(GatewayError):
    """The model server failed, or answered what it must not."""


class RefusedByModelServerError(ModelServerError):
    """The model server calls the gateway's request wrong."""


class ModelServerUnavailableError(ModelServerError):
    """No model server can be reached, or the connection broke."""

    retry_after_seconds = RETRY_AFTER_SECONDS


class ModelNotReadyError(ModelServerError):
    """The model is known but no version of it is AVAILABLE yet."""

    retry_after_seconds = RETRY_AFTER_SECONDS
