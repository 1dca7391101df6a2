"""The request's notebook: routes and error handlers write on it, the log line is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.classify.answers import ClassPrediction
from app.tracing import Trace

STARTED_AT: Final = "started_at"
"""In the scope's state: when the request's first bytes reached this machine, on time.monotonic."""
UNROUTED: Final = "(none)"
"""The route of requests that no route took, in logs and metrics."""


_MOST_WARNINGS: Final = 8


def _for_free(_images: int) -> None:
    """What images cost where nobody counts them."""


@dataclass(slots=True)
class RequestRecord:
    """What is known about one request so far."""

    request_id: str
    started_at: float
    """On time.monotonic; time that the request spent waiting in the socket counts."""
    client: str = ""
    """Whose fair share it takes: the peer's address unless more is known. No metric label."""
    charge: Callable[[int], None] = _for_free
    """Counts that many further images against the client's rate limits; one is counted already."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Model, version, first class, batch size, image bytes, stage times in milliseconds."""
    problem: str | None = None
    problem_body: Mapping[str, Any] | None = None
    """The problem as it was answered."""
    error: Exception | None = None
    server_timing: str | None = None
    trace: Trace | None = None
    is_open_inference: bool = False
    """Its errors have the form of the Open Inference Protocol."""
    is_abandoned: bool = False
    """The client went away before the answer."""

    def note_best(self, best: ClassPrediction | None) -> None:
        """Note the most probable class of the one image."""
        if best is not None:
            label = str(best.class_index) if best.label is None else best.label
            self.facts.update(label=label, probability=round(best.probability, 4))

    def warn(self, warnings: Sequence[str]) -> None:
        """Note what a library had to say about an image; the first few of a request."""
        if warnings:
            noted = self.facts.setdefault("warnings", [])
            noted.extend(warnings[: _MOST_WARNINGS - len(noted)])
