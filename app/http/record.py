"""The request's notebook: routes and error handlers write on it, the log line is made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class RequestRecord:
    """What is known about one request so far."""

    request_id: str
    started_at: float
    """On time.monotonic."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Model, version, batch size, image bytes, stage times in milliseconds."""
    problem: str | None = None
    error: Exception | None = None
    server_timing: str | None = None
    is_abandoned: bool = False
    """The client went away before the answer."""
