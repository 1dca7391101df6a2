"""The graph that becomes of a source: with the variants that were asked for, frozen or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from exporter.building.subject import Subject
from exporter.graph.freeze import (
    Frozen,
    already_frozen,
    freeze,
    require_freezable,
    trace,
    trace_as_it_is,
)
from exporter.graph.functions import Head
from exporter.graph.serving_graph import ServingGraph
from exporter.graph.write_frozen import write_frozen
from exporter.graph.write_variables import write_variables
from exporter.measure import variants
from exporter.memory import memory_limit_bytes, require_memory
from exporter.options import ExportOptions
from exporter.progress import Reporter
from exporter.proof import calibration
from exporter.settings import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """The graph to be checked and written, and how."""

    graph: ServingGraph
    chosen: variants.Chosen
    """What variants change; without the scorer."""
    freeze: Callable[[Any], Frozen | None]
    """Of the graph's concrete function, which it does not hold; None: it keeps its variables."""


def plan(subject: Subject, options: ExportOptions, settings: Settings, report: Reporter) -> Plan:
    """Trace the scorer, and make the variants that were asked for.

    Raises:
        FailedError: there is no memory for it, or it cannot be converted.
        RefusedError: it cannot be frozen and must, or a variant leaves its bound.
    """
    size = {"height": subject.image.height, "width": subject.image.width}
    concrete, weight_bytes = trace(subject.held.scorer.score, **size)
    require_memory(weight_bytes, report, memory_limit_bytes())
    require_freezable(weight_bytes, options.freeze)
    head = Head(subject.image, [each.label for each in subject.classes], subject.k)
    chosen = variants.Chosen(None, subject.parity_bound)
    if variants.are_wanted(options):
        frozen = freeze(concrete, weight_bytes, options.freeze)
        score = concrete if frozen is None else frozen.as_function()
        chosen = _choose(score, subject, options, settings, report, is_frozen=frozen is not None)
        if chosen.is_changed:
            return _changed(chosen, head, size, is_frozen=frozen is not None)
    return Plan(
        ServingGraph(concrete, head),
        replace(chosen, score=None),
        lambda traced: freeze(traced, weight_bytes, options.freeze),
    )


def _changed(
    chosen: variants.Chosen, head: Head, size: Mapping[str, int], *, is_frozen: bool
) -> Plan:
    """The plan for what a variant has made of the scorer."""
    freed = replace(chosen, score=None)
    if not chosen.is_compiled:
        moved, _ = trace(chosen.score, **size)
        return Plan(ServingGraph(moved, head), freed, lambda traced: freeze(traced, 0, "always"))
    # The mark is on the call; `trace` would put TensorFlow's own kernels there, as would freezing.
    compiled = trace_as_it_is(chosen.score, **size)
    return Plan(
        ServingGraph(compiled, head),
        freed,
        lambda traced: already_frozen(traced) if is_frozen else None,
    )


def write(
    plan: Plan, frozen: Frozen | None, subject: Subject, version_path: Path, card_json: str
) -> None:
    """Write the SavedModel; of a frozen network the source is let go of first.

    Raises:
        FailedError: it cannot be written.
    """
    graph = plan.graph
    if frozen is None:
        tracked = subject.held.network.tracked
        write_variables(version_path, graph.concrete, graph.head, card_json, tracked)
        return
    graph.let_go()
    subject.let_go()
    write_frozen(version_path, frozen, graph.head, card_json)


def _choose(
    score: variants.Score,
    subject: Subject,
    options: ExportOptions,
    settings: Settings,
    report: Reporter,
    *,
    is_frozen: bool,
) -> variants.Chosen:
    examples = variants.Examples(
        subject.pixels, subject.held.scorer.reference, settings.max_batch_size
    )
    files = calibration.find(
        options.tflite,
        options.calibration_dir,
        options.golden_dir,
        is_quantised=options.precision == "int8",
    )
    calibrated = calibration.read(files, subject.image)
    chosen = variants.choose(
        score,
        options,
        examples,
        calibrated,
        report,
        parity_bound=subject.parity_bound,
        is_frozen=is_frozen,
    )
    subject.lines += chosen.lines
    return chosen
