"""`compare`: several models side by side, each as it would be served."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from exporter.measure.memory import Peak
from exporter.measure.race import Answer, Images, batch_of
from exporter.measure.timing import Budget, Measured, Timing, interleave
from exporter.progress import Reporter

SCHEMA_VERSION: Final = 1
STEPS: Final = 4


@dataclass(frozen=True, slots=True)
class Contestant:
    """One model that can be asked, and what is known of it."""

    name: str
    answer: Answer
    pixels: Images
    """uint8 [N,H,W,3], of the size that it takes."""
    parameters: int
    size_bytes: int | None
    peak: Peak | None
    top_1: float | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One row."""

    name: str
    parameters: int
    size_bytes: int | None
    """On disk; None for an application."""
    memory_bytes: int | None
    """Peak of loading and one answer, beyond TensorFlow itself."""
    latency: Timing
    """At batch 1."""
    best_batch_size: int
    images_per_second: float
    """At the best batch size."""
    top_1: float | None
    """On the given images; None without."""


def run(
    contestants: Sequence[Contestant],
    batch_sizes: Sequence[int],
    budget: Budget,
    report: Reporter,
) -> list[Compared]:
    """Time all in turns, at batch 1 and at each of the batch sizes."""
    sizes = sorted({1, *batch_sizes})
    by_size: dict[int, Mapping[str, Measured]] = {}
    for done, size in enumerate(sizes, start=1):
        calls = {each.name: _call(each, size) for each in contestants}
        by_size[size] = interleave(calls, budget)
        report.advance("batch sizes", done, len(sizes))
    return [
        row_of(each, {size: by_size[size][each.name].warm for size in sizes})
        for each in contestants
    ]


def _call(contestant: Contestant, size: int) -> Callable[[], object]:
    images = batch_of(contestant.pixels, size)
    return lambda: contestant.answer(images)


def row_of(contestant: Contestant, timings: Mapping[int, Timing]) -> Compared:
    """A contestant's row from its timings by batch size, of which 1 is one."""
    rates = {size: 1000 * size / timing.mean_ms for size, timing in timings.items()}
    best = max(rates, key=lambda size: rates[size])
    peak = contestant.peak
    return Compared(
        name=contestant.name,
        parameters=contestant.parameters,
        size_bytes=contestant.size_bytes,
        memory_bytes=None if peak is None else peak.highest - peak.imported,
        latency=timings[1],
        best_batch_size=best,
        images_per_second=rates[best],
        top_1=contestant.top_1,
    )


def to_json(rows: Sequence[Compared], machine: Mapping[str, Any]) -> dict[str, Any]:
    """All figures for programs; docs/measuring.md describes the fields."""
    return {
        "schema_version": SCHEMA_VERSION,
        "machine": dict(machine),
        "models": [asdict(row) for row in rows],
    }
