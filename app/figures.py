"""What GET /stats shows, as numbers that add up: of one process, or of several workers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from app.latencies import Histogram, Key

_KEPT_PROBLEMS: Final = 10


@dataclass(frozen=True, slots=True)
class Figures:
    """Since the start, but the rate and the latencies, which are of lately."""

    uptime_seconds: float = 0.0
    requests_per_second: float = 0.0
    images_in_progress: int = 0
    answered: int = 0
    refused: int = 0
    failed: int = 0
    last_problems: list[dict[str, Any]] = field(default_factory=list)
    """The newest first, at most ten, as /stats shows them."""
    stages: Mapping[Key, Histogram] = field(default_factory=dict)
    """Latencies by model, version and stage."""

    @classmethod
    def of_all(cls, parts: Iterable[Figures]) -> Figures:
        """Sums; the longest uptime; the newest problems of all."""
        parts = list(parts)
        problems = (problem for part in parts for problem in part.last_problems)
        stages: dict[Key, Histogram] = {}
        for part in parts:
            for key, histogram in part.stages.items():
                stages.setdefault(key, Histogram()).merge(histogram)
        return cls(
            max((part.uptime_seconds for part in parts), default=0.0),
            sum(part.requests_per_second for part in parts),
            sum(part.images_in_progress for part in parts),
            sum(part.answered for part in parts),
            sum(part.refused for part in parts),
            sum(part.failed for part in parts),
            sorted(problems, key=lambda problem: problem["at"], reverse=True)[:_KEPT_PROBLEMS],
            stages,
        )

    @property
    def lasting(self) -> Figures:
        """What stays counted after the process that counted it has ended."""
        return Figures(
            answered=self.answered,
            refused=self.refused,
            failed=self.failed,
            last_problems=self.last_problems,
        )

    def to_json(self) -> str:
        """For another process of ours."""
        plain = {name: value for name, value in _plain(self).items() if name != "stages"}
        stages = [
            [*key, dict(each.counts), each.sum_seconds, each.max_seconds]
            for key, each in self.stages.items()
        ]
        return json.dumps(plain | {"stages": stages})

    @classmethod
    def from_json(cls, text: str) -> Figures:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        stages: dict[Key, Histogram] = {}
        for model, version, stage, counts, sum_seconds, max_seconds in values.pop("stages"):
            histogram = stages[model, version, stage] = Histogram()
            histogram.counts = Counter({int(bucket): count for bucket, count in counts.items()})
            histogram.sum_seconds, histogram.max_seconds = sum_seconds, max_seconds
        return cls(**values, stages=stages)


def _plain(figures: Figures) -> dict[str, Any]:
    without = Figures(
        figures.uptime_seconds,
        figures.requests_per_second,
        figures.images_in_progress,
        figures.answered,
        figures.refused,
        figures.failed,
        figures.last_problems,
    )
    return asdict(without)
