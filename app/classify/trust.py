"""Whether a model counts as answering, by what its proofs found: pure, so that time is a number.

                     answered                    refuted, or silent for too long
    unknown ──────────────────────► ready ──────────────────────────────────────► not ready
       └───── anything else: not ready ◄┘ slow: stays, for a while ▲───── answered ─────┘

An overload must never look like an outage: load balancers would send everything to the others,
which are as busy. So a model that answered a moment ago and is slow now is believed; one that
refuses connections, has no version or answers nonsense is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_SLOW_PROOFS: Final = 3
_SILENT_SECONDS: Final = 15.0
"""A ready model may fail to answer in time so often, and so long after its last answer."""


class Finding(Enum):
    """What a proof found."""

    ANSWERED = auto()
    SLOW = auto()
    """No answer in time, or too busy for one; it may still be working."""
    REFUTED = auto()
    """Unreachable, no version, or a wrong answer: no patience helps."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One proof of one model."""

    finding: Finding
    version: int | None = None
    """The version that answered."""
    detail: str | None = None
    """Why there is no answer."""


@dataclass(frozen=True, slots=True)
class ModelReadiness:
    """Whether one model answers; `detail` says why not."""

    name: str
    is_ready: bool
    version: int | None = None
    detail: str | None = None


class Trust:
    """What is believed of one model."""

    def __init__(self, name: str) -> None:
        self.readiness = ModelReadiness(name, is_ready=False, detail="it was not asked yet")
        self.proved_at = float("-inf")
        self._answered_at = float("-inf")
        self._slow_proofs = 0

    @property
    def seen_at(self) -> float:
        """When something was last heard of it."""
        return max(self.proved_at, self._answered_at)

    def answered(self, version: int | None, at: float) -> None:
        """It answered, a client or a proof, at that time."""
        self._slow_proofs = 0
        self._answered_at = at
        self.readiness = ModelReadiness(self.readiness.name, is_ready=True, version=version)

    def note(self, proof: Proof, now: float) -> None:
        """A proof ended."""
        self.proved_at = now
        if proof.finding is Finding.ANSWERED:
            self.answered(proof.version, now)
            return
        self._slow_proofs += 1
        if proof.finding is Finding.SLOW and self._is_believed(now):
            return
        self.readiness = ModelReadiness(self.readiness.name, is_ready=False, detail=proof.detail)

    def _is_believed(self, now: float) -> bool:
        is_silent = now - self._answered_at >= _SILENT_SECONDS
        return self.readiness.is_ready and not (is_silent and self._slow_proofs >= _SLOW_PROOFS)
