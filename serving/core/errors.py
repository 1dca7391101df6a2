"""Errors of the embedded server, as TensorFlow's canonical status codes.

Every error that reaches a client is a ServingError; REST and gRPC each map its code once, at
their own edge.
"""

from __future__ import annotations

from protocol.codes import Code


class ServingError(Exception):
    """An error with the code and the message that TensorFlow Serving would answer."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


def invalid_argument(message: str) -> ServingError:
    """The most frequent code, for what the client sent."""
    return ServingError(Code.INVALID_ARGUMENT, message)
