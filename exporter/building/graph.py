"""The graph that becomes of a source: frozen or not, with the variants that were asked for."""

from __future__ import annotations

from dataclasses import replace

from exporter.building.subject import Subject
from exporter.graph.freeze import freeze, trace
from exporter.graph.frozen_graph import FrozenGraph
from exporter.graph.functions import Head
from exporter.graph.serving_graph import ServingGraph
from exporter.graph.variable_graph import VariableGraph
from exporter.measure import variants
from exporter.memory import memory_limit_bytes, require_memory
from exporter.options import ExportOptions
from exporter.progress import Reporter
from exporter.proof import calibration
from exporter.settings import Settings


def build_graph(
    subject: Subject, options: ExportOptions, settings: Settings, report: Reporter
) -> tuple[ServingGraph, variants.Chosen]:
    """Trace, freeze, make variants, and wrap the result in the five signatures.

    The source is let go of where the graph has its own weights, unless labelled pictures are to be
    answered by both.

    Raises:
        FailedError: there is no memory for it, or it cannot be converted.
        RefusedError: it cannot be frozen, or a variant leaves its bound.
    """
    network, scorer = subject.network, subject.scorer
    assert network is not None, "let go of already"  # noqa: S101 - for the type checker
    assert scorer is not None, "let go of already"  # noqa: S101 - for the type checker
    size = {"height": subject.image.height, "width": subject.image.width}
    concrete, weight_bytes = trace(scorer.score, **size)
    require_memory(weight_bytes, report, memory_limit_bytes())
    frozen = freeze(concrete, weight_bytes, options.freeze)
    chosen = variants.Chosen(None, options.parity_bound)
    if variants.are_wanted(options):
        score = concrete if frozen is None else frozen.as_function()
        chosen = _choose(score, subject, options, settings, report, is_frozen=frozen is not None)
        if chosen.is_changed:
            concrete, _ = trace(chosen.score, **size)
            frozen = None if frozen is None else freeze(concrete, 0, "always")
        chosen = replace(chosen, score=None)  # it may hold the weights
        del score
    head = Head(subject.image, [each.label for each in subject.classes], subject.k)
    if frozen is None:
        return VariableGraph(concrete, head, network.tracked), chosen
    del network, scorer, concrete
    if options.accuracy is None:
        subject.let_go()
    return FrozenGraph(frozen, head), chosen


def _choose(
    score: variants.Score,
    subject: Subject,
    options: ExportOptions,
    settings: Settings,
    report: Reporter,
    *,
    is_frozen: bool,
) -> variants.Chosen:
    assert subject.scorer is not None  # noqa: S101 - for the type checker
    examples = variants.Examples(subject.pixels, subject.scorer.reference, settings.max_batch_size)
    files = calibration.find(options.tflite, options.calibration_dir, options.golden_dir)
    calibrated = calibration.read(files, subject.image)
    chosen = variants.choose(score, options, examples, calibrated, report, is_frozen=is_frozen)
    subject.lines += chosen.lines
    return chosen
