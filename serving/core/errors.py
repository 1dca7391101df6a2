"""Errors of the embedded server, as TensorFlow's canonical status codes.

Every error that reaches a client is a ServingError; REST and gRPC each map its code once, at
their own edge.
"""

from __future__ import annotations

from enum import Enum


class Code(Enum):
    """Canonical status codes; the value is gRPC's number (google/rpc/code.proto)."""

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
