"""The graph that becomes of a source: with the variants that were asked for, frozen or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from exporter.building.subject import Subject
from exporter.graph.freeze import Frozen, freeze, require_freezable, trace
from exporter.graph.functions import Head
from exporter.graph.serving_graph import ServingGraph
from exporter.graph.write_frozen import write_frozen
from exporter.graph.write_variables import write_variables
from exporter.measure import variants
from exporter.memory import memory_limit_bytes, require_memory
from exporter.options import ExportOptions, Freeze
from exporter.progress import Reporter
from exporter.proof import calibration
from exporter.settings import Settings


@dataclass(frozen=True, slots=True)
class Plan:
    """The graph to be checked and written, and how."""

    graph: ServingGraph
    chosen: variants.Chosen
    """What variants change; without the scorer."""
    weight_bytes: int
    """Of variables; 0 where a variant has made constants of them."""
    freeze: Freeze


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
    choice = options.freeze
    chosen = variants.Chosen(None, subject.parity_bound)
    if variants.are_wanted(options):
        frozen = freeze(concrete, weight_bytes, choice)
        score = concrete if frozen is None else frozen.as_function()
        chosen = _choose(score, subject, options, settings, report, is_frozen=frozen is not None)
        if chosen.is_changed:
            # Tracing again would have TensorFlow's own kernels in XLA's place.
            concrete, weight_bytes = (
                (chosen.score, 0) if chosen.is_compiled else trace(chosen.score, **size)
            )
            choice = "never" if frozen is None else "always"
    graph = ServingGraph(concrete, head)
    return Plan(graph, replace(chosen, score=None), weight_bytes, choice)


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
    files = calibration.find(options.tflite, options.calibration_dir, options.golden_dir)
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
