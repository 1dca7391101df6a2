"""`benchmark`: every way to ask one model, at every batch size, in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from exporter.measure.race import Answer, Images, batch_of, time_answers
from exporter.measure.timing import Budget, Measured
from exporter.progress import Reporter

SCHEMA_VERSION: Final = 1
STEPS: Final = 3


@dataclass(frozen=True, slots=True)
class Result:
    """One way at one batch size."""

    way: str
    batch_size: int
    measured: Measured

    @property
    def per_image_ms(self) -> float:
        """Median, divided by the batch size."""
        return self.measured.warm.p50_ms / self.batch_size

    @property
    def images_per_second(self) -> float:
        """By the mean, as pauses count too where work is done one after the other."""
        return 1000 * self.batch_size / self.measured.warm.mean_ms


def run(
    answers: Mapping[str, Answer],
    pixels: Images,
    batch_sizes: Sequence[int],
    budget: Budget,
    report: Reporter,
) -> list[Result]:
    """Measure ways at batch sizes, from the first to the last size.

    Args:
        answers: by the way's name.
        pixels: uint8 [N,H,W,3]; repeated to fill a batch.
        batch_sizes: ascending or not.
        budget: per way and batch size.
        report: told after each batch size.
    """
    results: list[Result] = []
    for done, size in enumerate(batch_sizes, start=1):
        measured = time_answers(answers, batch_of(pixels, size), budget)
        results += [Result(way, size, each) for way, each in measured.items()]
        report.advance("batch sizes", done, len(batch_sizes))
    return results


def to_json(
    subject: Mapping[str, Any],
    machine: Mapping[str, Any],
    results: Sequence[Result],
    missing: Mapping[str, str],
) -> dict[str, Any]:
    """All figures for programs; docs/measuring.md describes the fields."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": dict(subject),
        "machine": dict(machine),
        "missing": dict(missing),
        "results": [
            {
                "way": each.way,
                "batch_size": each.batch_size,
                "first_call_ms": each.measured.first_call_ms,
                **asdict(each.measured.warm),
                "per_image_ms": each.per_image_ms,
                "images_per_second": each.images_per_second,
                "without_warmup": asdict(each.measured.with_first_call),
            }
            for each in results
        ],
    }
