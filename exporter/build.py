"""From a source to a staged version: everything that needs TensorFlow. Prints nothing.

    load ─► golden answers ─► trace, freeze ─► let go of the source ─► parity ─► write

The order is the memory's: the source goes before the graph is asked, and the graph before anybody
starts a model server. Peak and bounds are in docs/exporter.md.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import keras
import tensorflow as tf
from pydantic import ValidationError

from contract.card import ModelCard
from contract.image_spec import ImageSpec
from contract.signatures import DEFAULT_K
from exporter.errors import UsageError
from exporter.graph.ending import read_ending, trace_network
from exporter.graph.freeze import freeze, trace
from exporter.graph.frozen_graph import FrozenGraph
from exporter.graph.functions import Head
from exporter.graph.scorer import Scorer, make_scorer
from exporter.graph.serving_graph import ServingGraph
from exporter.graph.variable_graph import VariableGraph
from exporter.measure import variants
from exporter.memory import give_back, memory_limit_bytes, require_memory
from exporter.options import IMAGENET, ExportOptions, GoldenFile
from exporter.progress import Reporter
from exporter.proof import behaviour, calibration, goldens, operations, parity, weights
from exporter.proof.lines import GateLine
from exporter.settings import Settings
from exporter.sources import labels
from exporter.sources.application import imagenet_classes
from exporter.sources.known_applications import IMAGENET_CLASS_COUNT
from exporter.sources.loading import Load
from exporter.sources.network import Network
from exporter.store import inventory, warmup


def build(
    load: Load,
    options: ExportOptions,
    settings: Settings,
    report: Reporter,
    version_path: Path,
) -> tuple[GateLine, ...]:
    """Load, wrap, freeze, compare and write.

    Args:
        load: gives the source; called once.
        options: what and how.
        settings: timeouts, batch sizes.
        report: told about each of its five steps.
        version_path: the staged version's folder, to be made.

    Returns:
        What it has passed.

    Raises:
        ExporterError: one of its three kinds.
    """
    report.step("loading the source")
    network = load(report)
    image = _image_spec(network, options)
    files = _golden_files(network, options)
    pixels = goldens.to_pixels(files, image)
    traced = trace_network(network, image)
    lines = [
        operations.require_harmless(traced, options.allowed_ops, network.source.name),
        weights.require_sound(traced, network.source.name),
    ]
    report.step("asking the source for golden answers")
    scorer = make_scorer(
        network,
        pixels,
        ending=read_ending(traced),
        mode=options.preprocess,
        task=options.task,
        activation=options.activation,
    )
    classes = _class_names(network, scorer, options, settings, report)
    _explain(network, scorer, classes, options, report)
    expected = scorer.reference(pixels)
    report.step("building the graph")
    concrete, weight_bytes = trace(scorer.score, height=image.height, width=image.width)
    require_memory(weight_bytes, report, memory_limit_bytes())
    head = Head(image, [each.label for each in classes], _top_k(options.k, scorer.class_count))
    frozen = freeze(concrete, weight_bytes, options.freeze)
    examples = variants.Examples(pixels, scorer.reference, settings.max_batch_size)
    calibrated = calibration.read(
        calibration.find(options.tflite, options.calibration_dir, options.golden_dir), image
    )
    chosen = variants.Chosen(None, options.parity_bound)
    if variants.are_wanted(options):
        score = concrete if frozen is None else frozen.as_function()
        is_frozen = frozen is not None
        chosen = variants.choose(score, options, examples, calibrated, report, is_frozen=is_frozen)
    lines += chosen.lines
    if chosen.is_changed:
        concrete, _ = trace(chosen.score, height=image.height, width=image.width)
        frozen = None if frozen is None else freeze(concrete, 0, "always")
    chosen = replace(chosen, score=None)  # it may hold the weights
    may_be_constant = network.is_randomly_weighted
    source, precision, evaluation = network.source, network.precision, network.evaluation
    task, preprocess = scorer.task, scorer.preprocess
    graph: ServingGraph
    if frozen is None:
        graph = VariableGraph(concrete, head, network.tracked)
    else:
        del network, scorer, traced, concrete, examples
        keras.backend.clear_session()
        give_back()
        graph = FrozenGraph(frozen, head)
    lines += behaviour.require_healthy(
        graph.score, pixels, bound=chosen.parity_bound, may_be_constant=may_be_constant
    )
    report.step("comparing with the source")
    answers = parity.golden_answers(graph, files, pixels, expected)
    found = parity.require_parity(graph, answers, chosen.parity_bound, options.encoded_parity_bound)
    report.step("writing the staged version")
    card = ModelCard(
        model_name=options.name,
        task=task,
        classes=labels.to_classes(classes),
        k=head.k,
        image=image,
        preprocess=preprocess,
        precision=chosen.precision or precision,
        is_compiled=chosen.is_compiled,
        tflite=chosen.tflite_card,
        is_frozen=graph.is_frozen,
        source=source,
        frameworks={"tensorflow": tf.__version__, "keras": keras.__version__},
        evaluation=evaluation,
        parity=found,
        exported_at=datetime.now(UTC),
    )
    graph.save(version_path, card.model_dump_json())
    chosen.write(version_path)
    inventory.write_card(version_path, card)
    goldens.write(version_path, files, answers)
    warmup.write(version_path, card, settings.max_batch_size)
    return (*lines, *parity.lines(found))


def _image_spec(network: Network, options: ExportOptions) -> ImageSpec:
    wanted = dict(options.image)
    for side, own in (("height", network.height), ("width", network.width)):
        asked = wanted.setdefault(side, own)
        if asked is None:
            raise UsageError(f"{network.source.name} takes any image size: choose --image-size")
        if own is not None and asked != own:
            raise UsageError(
                f"{network.source.name} takes {network.height}x{network.width} images only; "
                "leave --image-size out"
            )
    try:
        return ImageSpec(**wanted)
    except ValidationError as error:
        raise UsageError(f"image: {error.errors()[0]['msg']}") from error


def _golden_files(network: Network, options: ExportOptions) -> tuple[GoldenFile, ...]:
    own = goldens.read_folder(options.golden_dir) if options.golden_dir else ()
    return (*goldens.draw(), *own, *network.golden_files)


def _class_names(
    network: Network,
    scorer: Scorer,
    options: ExportOptions,
    settings: Settings,
    report: Reporter,
) -> tuple[labels.ClassName, ...]:
    count = scorer.class_count
    if options.labels == IMAGENET:
        names = imagenet_classes(settings, report)
    elif options.labels is not None:
        names = labels.read(Path(options.labels))
    elif network.classes is not None:
        names = network.classes
    else:
        hint = " or --labels imagenet" if count == IMAGENET_CLASS_COUNT else ""
        report.note(f"no labels: calling the classes class_0 … (--labels FILE{hint} names them)")
        return labels.numbered(count)
    if len(names) != count:
        hint = (
            " (one output is two classes; for a single label say --task multi_label)"
            if scorer.is_binary
            else ""
        )
        raise UsageError(
            f"{len(names)} labels for {count} classes; the labels must match the model's output"
            f"{hint}"
        )
    return names


def _explain(
    network: Network,
    scorer: Scorer,
    classes: tuple[labels.ClassName, ...],
    options: ExportOptions,
    report: Reporter,
) -> None:
    """Say what was assumed: each of these is silent and wrong when the assumption is."""
    if network.is_randomly_weighted:
        report.note("random weights: the answers mean nothing")
    if network.preprocess is None and options.preprocess is None:
        inside = "it rescales inside" if network.has_rescaling else "it may expect otherwise"
        report.note(f"preprocess none: the network gets pixels 0..255 ({inside}; see --preprocess)")
    if scorer.is_binary:
        report.note(f"one output p is two classes: {classes[0].label} 1-p, {classes[1].label} p")
    if scorer.activation != "none" and options.activation is None:
        report.note(f"the scores are logits: adding {scorer.activation} (see --activation)")
    twice = labels.duplicates(classes)
    if twice:
        report.note(f"labels that several classes share: {', '.join(twice[:5])}")


def _top_k(wanted: int | None, class_count: int) -> int:
    if wanted is not None and not 1 <= wanted <= class_count:
        raise UsageError(f"--top-k {wanted}: the model has {class_count} classes")
    return wanted or min(class_count, DEFAULT_K)
