"""How sure the models are and what they see: of each version, the first class of its answers.

Plain counts in a dictionary, made into samples when somebody asks: half a microsecond per image.
Labels are the model's own, and of each version the first 100 that it answers; a thousand-class
model would otherwise be a thousand series. A version that has not answered for a quarter of an
hour, and is not the one that is served, takes its series with it.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from app.classify.answers import ClassPrediction

MAX_LABELS: Final = 100
OTHER: Final = "other"
KEEP_SECONDS: Final = 900.0
PROBABILITIES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)

IsServed = Callable[[str, int], bool]
"""Whether a model's version is one that answers requests which name none."""


@dataclass(slots=True)
class _Version:
    """What one version's answers began with."""

    answered_at: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)
    counts: list[int] = field(default_factory=lambda: [0] * (len(PROBABILITIES) + 1))
    """By bucket, the last without limit: scores of foreign models may be anything."""
    total: float = 0.0


class TopClasses(Collector):
    """The counts, as a collector."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._versions: dict[tuple[str, int], _Version] = {}
        self.is_served: IsServed = lambda _model, _version: True

    def count(self, model: str, version: int, best: ClassPrediction) -> None:
        """One image was answered so."""
        key = (model, version)
        seen = self._versions.get(key)
        if seen is None:
            seen = self._versions[key] = _Version()
        seen.answered_at = self._clock()
        label = str(best.class_index) if best.label is None else best.label
        if label not in seen.labels and len(seen.labels) >= MAX_LABELS:
            label = OTHER
        seen.labels[label] += 1
        seen.counts[bisect.bisect_left(PROBABILITIES, best.probability)] += 1
        seen.total += best.probability

    def collect(self) -> Iterator[Metric]:
        """See `Collector.collect`."""
        self._forget()
        probabilities = HistogramMetricFamily(
            "gateway_top_probability",
            "Probability of the most probable class of each image.",
            labels=("model", "version"),
        )
        labels = CounterMetricFamily(
            "gateway_top_label",
            f"Images by their most probable class; of each version {MAX_LABELS} labels and "
            f"{OTHER!r}.",
            labels=("model", "version", "label"),
        )
        for (model, version), seen in self._versions.items():
            names = (model, str(version))
            cumulative = itertools.accumulate(seen.counts)
            limits = (*map(str, PROBABILITIES), "+Inf")
            buckets = list(zip(limits, map(float, cumulative), strict=True))
            probabilities.add_metric(names, buckets, seen.total)
            for label, count in seen.labels.items():
                labels.add_metric((*names, label), count)
        yield probabilities
        yield labels

    def _forget(self) -> None:
        oldest = self._clock() - KEEP_SECONDS
        for (model, version), seen in list(self._versions.items()):
            if seen.answered_at < oldest and not self.is_served(model, version):
                del self._versions[model, version]
