"""What the client raises.

    SightserveError
    ├── UnusableImageError          what was given cannot be sent; nothing was
    ├── TransportError              no answer
    │   ├── CannotConnectError
    │   ├── AnswerCutError          the connection ended before the answer did
    │   └── AnswerTimeoutError      and a TimeoutError
    ├── UnexpectedAnswerError       an answer, but not a gateway's: a proxy, another server
    └── ProblemError                the gateway says what is wrong (RFC 9457)
        ├── InvalidRequestError     400, 404, 405, 414, 415, 421, 422, 431
        │   └── InvalidParameterError   422
        ├── InvalidImageError       422
        │   └── ImageTooCostlyError     422
        ├── ImageTooLargeError      413     too many pixels or bytes
        ├── UnauthorizedError       401
        ├── UnknownModelError       404
        │   └── UnknownVersionError     404
        ├── OverloadedError         429     + retry_after
        │   └── RateLimitedError        429
        ├── UnavailableError        503     + retry_after
        ├── DeadlineError           408, 504
        └── ServiceFailedError      500, 502

A problem of a type that this client does not know is a ProblemError and nothing narrower.
"""

from __future__ import annotations

from dataclasses import dataclass


class SightserveError(Exception):
    """Everything that the client raises of its own."""

    is_retriable = False
    """Whether the same request may be answered a moment later."""

    retry_after: float | None = None
    """Seconds that the server asks to wait, if it does."""


class UnusableImageError(SightserveError, ValueError):
    """What was given is no image that can be sent."""


class TransportError(SightserveError):
    """No answer came. `request_id` is what was sent as X-Request-Id."""

    def __init__(
        self, message: str, *, request_id: str | None = None, is_retriable: bool = False
    ) -> None:
        super().__init__(message)
        self.request_id = request_id
        self.is_retriable = is_retriable


class CannotConnectError(TransportError):
    """Nobody listens there, the name is unknown, or TLS cannot be agreed on."""


class AnswerCutError(TransportError):
    """The connection ended before an answer, or in the middle of one."""


class AnswerTimeoutError(TransportError, TimeoutError):
    """No answer within the time that the caller gave."""


class UnexpectedAnswerError(SightserveError):
    """An answer that no gateway gives: a proxy's error page, another server's port."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        request_id: str | None = None,
        retry_after: float | None = None,
        is_retriable: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.is_retriable = is_retriable


@dataclass(frozen=True, slots=True)
class Problem:
    """What the gateway answered, RFC 9457."""

    status: int
    type: str
    title: str
    detail: str | None = None
    parameter: str | None = None
    request_id: str | None = None
    retry_after: float | None = None


class ProblemError(SightserveError):
    """The gateway answered with a problem. Decide by the class, or by `type`; show `str(error)`."""

    def __init__(self, problem: Problem, *, hint: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        """What the caller can do about it, where this client knows."""
        self.retry_after = problem.retry_after
        self.is_retriable = problem.status in {429, 503}

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def type(self) -> str:
        """The stable name, such as /problems/invalid-image."""
        return self.problem.type

    @property
    def title(self) -> str:
        """What all problems of the type have in common."""
        return self.problem.title

    @property
    def detail(self) -> str | None:
        """What is wrong with this request, for people."""
        return self.problem.detail

    @property
    def request_id(self) -> str | None:
        """What the gateway's log calls the request."""
        return self.problem.request_id

    def __str__(self) -> str:
        text = f"{self.title}: {self.detail}" if self.detail else self.title
        return f"{text} ({self.hint})" if self.hint else text


class InvalidRequestError(ProblemError):
    """The gateway does not understand the request, or has nothing at that address."""


class InvalidParameterError(InvalidRequestError):
    """A parameter has a value that it cannot have; `parameter` names it."""

    @property
    def parameter(self) -> str | None:
        """Its name."""
        return self.problem.parameter


class InvalidImageError(ProblemError):
    """The bytes are not an image that the gateway can decode."""


class ImageTooCostlyError(InvalidImageError):
    """Decoding the image takes too long, or ended the process that tried."""


class ImageTooLargeError(ProblemError):
    """The image has more pixels, or the file more bytes, than the gateway takes."""


class UnauthorizedError(ProblemError):
    """The gateway asks for an API key, and got none or a wrong one."""


class UnknownModelError(ProblemError):
    """There is no such model."""


class UnknownVersionError(UnknownModelError):
    """The model has no such version, or no such version label."""


class OverloadedError(ProblemError):
    """More work waits than can be done in time."""


class RateLimitedError(OverloadedError):
    """This client sends more than it may."""


class UnavailableError(ProblemError):
    """The model is not ready, or no model server can be reached."""


class DeadlineError(ProblemError):
    """The gateway gave up at the deadline."""


class ServiceFailedError(ProblemError):
    """The gateway or the model server failed; the log has it under the request id."""
