"""Targets made ready for `compare`: loaded, folded as an export would, weighed and examined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from exporter.graph.freeze import freeze
from exporter.measure import accuracy, memory
from exporter.measure.comparison import Contestant
from exporter.measure.loading import LoadOptions, Subject, load
from exporter.measure.memory import Peak
from exporter.measure.race import Answer, of_graph
from exporter.measure.targets import Target
from exporter.progress import Reporter
from exporter.settings import Settings


def enter(
    targets: Sequence[Target],
    base_path: Path,
    settings: Settings,
    report: Reporter,
    *,
    weights: str,
    images: Path | None,
    with_memory: bool,
) -> list[Contestant]:
    """Three steps: memory first, while this process holds nothing, then loading, then accuracy.

    Raises:
        ExporterError: as at export; the images are not the model's classes.
    """
    report.step("memory, each in a process of its own" if with_memory else "memory: left out")
    peaks: list[Peak | None] = []
    for done, target in enumerate(targets, start=1):
        peak = memory.measure(target.text, base_path, weights=weights) if with_memory else None
        peaks.append(peak)
        report.advance("models", done, len(targets))
    report.step("loading")
    options = LoadOptions(weights=weights)
    subjects = [load(target, options, settings, report) for target in targets]
    answers = [_answer(subject) for subject in subjects]
    report.step("accuracy" if images else "accuracy: no --images")
    return [
        Contestant(
            name=subject.target.text,
            answer=answer,
            pixels=subject.pixels,
            parameters=subject.parameters,
            size_bytes=subject.target.size_bytes,
            peak=peak,
            top_1=accuracy.top_1(answer, images, subject.image, subject.labels) if images else None,
        )
        for subject, answer, peak in zip(subjects, answers, peaks, strict=True)
    ]


def _answer(subject: Subject) -> Answer:
    """As it is served: a version as it was saved, a source as an export would freeze it."""
    score = subject.concrete
    if subject.target.published is None:
        frozen = freeze(subject.concrete, subject.weight_bytes, "auto")
        score = subject.concrete if frozen is None else frozen.as_function()
    return of_graph(score, height=subject.image.height, width=subject.image.width)
