"""Metrics of several processes as those of one: what Prometheus would get from a single gateway.

Counters and histograms are summed, and so are gauges of what each worker holds for itself. A gauge
of which every worker has the same, or of which the worst counts, is the largest or the smallest.
Texts are merged as they stand: all of them are written by the same code, so that equal series are
equal texts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

_LARGEST: Final = frozenset(
    {
        "gateway_api_keys",
        "gateway_api_keys_stale",
        "gateway_build_info",
        "gateway_event_loop_lag_seconds",
        "gateway_model_server_replicas",
        "gateway_model_version_replicas",
        "gateway_saturation",
        "process_max_fds",
        "process_open_fds",
    }
)
"""The same for all, or of the worker that is worst off: one that refuses is not made up for by one
that would not. Open files count against the limit of each process."""
_SMALLEST: Final = frozenset({"gateway_ready", "process_start_time_seconds"})
_CREATED: Final = "_created"
_GROWING: Final = frozenset({"counter", "histogram", "summary"})


@dataclass(slots=True)
class Family:
    """One metric: its two comment lines, and its values by name and labels as they are written."""

    comments: list[str]
    kind: str = "untyped"
    samples: dict[str, float] = field(default_factory=dict)


Families = dict[str, Family]


def parse(text: str) -> Families:
    """Read an exposition of ours."""
    families: Families = {}
    family = Family([])
    for line in text.splitlines():
        if line.startswith("# "):
            _, what, name, *rest = line.split(" ", 3)
            family = families.setdefault(name, Family([]))
            family.comments.append(line)
            if what == "TYPE":
                family.kind = rest[0]
        elif line:
            series, _, value = line.rpartition(" ")
            family.samples[series] = float(value)
    return families


def merge(parts: Iterable[Mapping[str, Family]]) -> Families:
    """All of them as one; the order is that of the first that has a metric."""
    whole: Families = {}
    for part in parts:
        for name, family in part.items():
            mine = whole.setdefault(name, Family(family.comments, family.kind))
            for series, value in family.samples.items():
                known = mine.samples.get(series)
                mine.samples[series] = value if known is None else _of_both(name, known, value)
    return whole


def growing(families: Mapping[str, Family]) -> Families:
    """What stays counted after the process that counted it has ended."""
    return {name: family for name, family in families.items() if family.kind in _GROWING}


def exposition(families: Mapping[str, Family]) -> bytes:
    """The text format that Prometheus scrapes."""
    lines = [
        line
        for family in families.values()
        for line in (
            *family.comments,
            *(f"{series} {_written(value)}" for series, value in family.samples.items()),
        )
    ]
    return ("\n".join(lines) + "\n").encode()


def _written(value: float) -> str:
    """As Prometheus reads numbers."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


def _of_both(name: str, one: float, other: float) -> float:
    if name in _LARGEST:
        return max(one, other)
    if name in _SMALLEST or name.endswith(_CREATED):
        return min(one, other)
    return one + other
