"""Every error the gateway knows; what each looks like over HTTP is decided in problems.py alone.

    GatewayError 500
    ├── RequestError 400
    │   ├── InvalidImageError 422
    │   │   └── ImageTooCostlyError 422         takes too long, or ends its worker
    │   ├── UnsupportedMediaTypeError 415
    │   ├── PayloadTooLargeError 413
    │   ├── ImageTooLargeError 413
    │   ├── InvalidParameterError 422
    │   ├── UnauthorizedError 401           + WWW-Authenticate
    │   ├── MisdirectedRequestError 421
    │   ├── RequestTimeoutError 408
    │   ├── UrlTooLongError 414
    │   └── HeadersTooLargeError 431
    ├── ModelError 502                      the model cannot be used as configured
    │   ├── ModelNotFoundError 404
    │   └── ModelVersionNotFoundError 404
    ├── OverloadedError 429                 + Retry-After
    ├── RateLimitedError 429                + Retry-After
    ├── TooManyConnectionsError 503         + Retry-After
    ├── DeadlineExceededError 504
    └── ModelServerError 502
        ├── RefusedByModelServerError 502   INVALID_ARGUMENT, FAILED_PRECONDITION
        ├── ModelServerUnavailableError 503 + Retry-After
        └── ModelNotReadyError 503          + Retry-After

`detail` goes to clients word for word, so it must never hold a foreign exception's text.
`reason` is what the log gets on top: the model server's own words, for example.
"""

from __future__ import annotations

from typing import Final, Literal

RETRY_AFTER_SECONDS: Final = 1.0
"""What a client is told to wait where nothing better is known."""


Refusal = Literal[
    "queue", "decoding", "slow_image", "uploads", "model_server", "shutdown",
    "key_limit", "address_limit", "no_key", "wrong_key", "host",
]  # fmt: skip
"""Why a request with which nothing is wrong is not answered: too much work of some kind, too much
from one client, or the wrong caller. A label of metrics, so a small set."""


def let_go_of_frames(error: BaseException | None) -> None:
    """Forget the tracebacks of an error that has been answered, and of its causes.

    A future that failed is a variable of the frame that awaited it, which is in the error's
    traceback: a circle that holds every variable on the way, uploads of 20 MB among them, until
    the garbage collector comes by.
    """
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            waiting += (each.__cause__, each.__context__)


class GatewayError(Exception):
    """Something that the gateway can name."""

    refusal: Refusal | None = None
    """Why it is one; None: it is none, but a fault of the request or of ours."""

    def __init__(self, detail: str, *, reason: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason
        self.warnings: tuple[str, ...] = ()
        """What a library had to say on the way; for the log."""


class RequestError(GatewayError):
    """The request cannot be understood."""


class InvalidImageError(RequestError):
    """The bytes are not an image that can be decoded."""


class ImageTooCostlyError(InvalidImageError):
    """Decoding the image takes more time than is allowed, or ended the process that tried."""


class UnsupportedMediaTypeError(RequestError):
    """The body has a content type that is no image and no form."""


class PayloadTooLargeError(RequestError):
    """The body has more bytes, or more files, than is allowed."""


class ImageTooLargeError(RequestError):
    """The image has more pixels, or takes more memory to decode, than is allowed."""


class RequestTimeoutError(RequestError):
    """The request's head or body did not arrive in time."""


class UrlTooLongError(RequestError):
    """The request line has more bytes than is allowed."""


class HeadersTooLargeError(RequestError):
    """The headers or trailers have more bytes, or are more, than is allowed."""


class InvalidParameterError(RequestError):
    """A parameter has a value that it cannot have."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(f"{parameter}: {detail}")
        self.parameter = parameter


class UnauthorizedError(RequestError):
    """The request shows no API key, or one that opens nothing."""

    def __init__(self, detail: str, *, is_key_wrong: bool) -> None:
        super().__init__(detail)
        self.refusal = "wrong_key" if is_key_wrong else "no_key"
        self.challenge = 'Bearer realm="sightserve"'
        """What WWW-Authenticate says (RFC 6750)."""
        if is_key_wrong:
            self.challenge += ', error="invalid_token"'


class MisdirectedRequestError(RequestError):
    """The request is for a host that this is not."""

    refusal = "host"


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
        refusal: Refusal = "queue",
    ) -> None:
        super().__init__(detail, reason=reason)
        self.refusal = refusal
        self.retry_after_seconds = retry_after_seconds


class RateLimitedError(GatewayError):
    """One client sends more than it may, however idle the service is."""

    def __init__(self, detail: str, *, retry_after_seconds: float, refusal: Refusal) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.retry_after_seconds = retry_after_seconds


class TooManyConnectionsError(GatewayError):
    """As many connections as may be open have requests in progress."""

    retry_after_seconds = RETRY_AFTER_SECONDS


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
