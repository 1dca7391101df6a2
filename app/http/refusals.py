"""Refusals before the application: counted each, logged once a second at most.

Under attack or overload there are thousands a second: a line each would cost more than the
refusal, and bury what matters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from app.errors import GatewayError
from app.http.outcomes import Outcomes
from app.http.problems import problem_body, problem_type
from app.http.record import UNROUTED
from app.metrics.http import HttpMetrics

_LOG_INTERVAL_SECONDS: Final = 1.0
_ANY: Final = "*"
"""The method's label: clients can invent methods."""


class SampledLog:
    """Writes the first event of a kind at once, later ones summed up: one line a second each."""

    def __init__(self, log: Any, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._silent_until: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def note(self, event: str, kind: str, **facts: Any) -> None:
        """Count one event of that kind (a small set), and write a line if one is due."""
        count = self._counts.get(kind, 0) + 1
        now = self._clock()
        if now < self._silent_until.get(kind, 0.0):
            self._counts[kind] = count
            return
        self._counts[kind] = 0
        self._silent_until[kind] = now + _LOG_INTERVAL_SECONDS
        self._log.info(event, kind=kind, count=count, **facts)


class Refusals:
    """Where everybody who refuses without the application's help reports it."""

    def __init__(
        self,
        metrics: HttpMetrics,
        log: Any,
        clock: Callable[[], float],
        outcomes: Outcomes | None = None,
    ) -> None:
        self._metrics = metrics
        self._outcomes = outcomes or Outcomes()
        self._log = SampledLog(log, clock)

    def note(self, error: GatewayError, *, peer: str, route: str = UNROUTED) -> None:
        """One request was answered with the error's problem."""
        kind = problem_type(error)
        self._metrics.request_refused(
            route, _ANY, kind.status, problem=kind.slug, refusal=error.refusal
        )
        self._outcomes.note(problem_body(error), request_id=None, is_of_image=route != UNROUTED)
        self._log.note(
            "refused", kind.slug, status=kind.status, detail=error.detail, peer=peer, route=route
        )

    def connection(self, reason: str, peer: str) -> None:
        """A connection has no place (reason total or client), or lost it while idle (idle)."""
        self._metrics.connection_refused(reason)
        self._log.note("connection refused", reason, peer=peer)
