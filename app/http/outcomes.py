"""How requests went since the start, for `GET /stats`: for people without Prometheus."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

_KEPT_PROBLEMS: Final = 10
_REFUSALS: Final = frozenset({429, 503, 504})
"""The request was right, but not now; every other problem is the request's or the model's fault."""


@dataclass(frozen=True, slots=True)
class ProblemNote:
    """One problem that was answered. Its detail is what the client got: never images or keys."""

    at: datetime
    status: int
    type: str
    detail: str | None
    request_id: str | None


class Outcomes:
    """Counts images that got no answer, and keeps the last few problems of any route."""

    def __init__(self) -> None:
        self.refused = 0
        self.failed = 0
        self._last: deque[ProblemNote] = deque(maxlen=_KEPT_PROBLEMS)

    @property
    def last(self) -> list[ProblemNote]:
        """The newest first, at most ten."""
        return list(reversed(self._last))

    def note(
        self, problem: Mapping[str, Any], *, request_id: str | None, is_of_image: bool
    ) -> None:
        """A problem (see `problem_body`) was answered, in place of an image's classes or not."""
        if is_of_image and problem["status"] in _REFUSALS:
            self.refused += 1
        elif is_of_image:
            self.failed += 1
        self._last.append(
            ProblemNote(
                datetime.now(UTC),
                problem["status"],
                problem["type"],
                problem.get("detail"),
                request_id,
            )
        )
