"""What one kind of garbage is: what becomes of the answers to one question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.support.broken_front import Break

Question = Literal["predict", "model_card", "metadata", "status"]


@dataclass(frozen=True)
class Reply:
    """An answer of HTTP."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Garbage:
    """One kind: what becomes of the answers to one question, over the protocols that have it."""

    name: str
    question: Question
    grpc: Callable[[Any], bytes] | None = None
    """The message that would have been answered, to what is answered."""
    rest: Callable[[Any], Reply] | None = None
    """The same for the JSON document."""
    grpc_break: Break | None = None
    rest_break: Break | None = None

    def has(self, protocol: str) -> bool:
        parts = (self.grpc, self.grpc_break) if protocol == "grpc" else (self.rest, self.rest_break)
        return any(part is not None for part in parts)
