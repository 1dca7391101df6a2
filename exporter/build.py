"""From a source to a staged version: everything that needs TensorFlow. Prints nothing.

    load ─► look, ask ─► trace ─► behaviour, parity, accuracy ─► freeze ─► let go ─► write

The order is the memory's: everything is asked on the source's own variables, which go before the
frozen graph is written, and this process goes before anybody starts a model server, which then
proves what freezing has made. Peaks and bounds are in docs/exporter.md.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import keras
import tensorflow as tf

from contract.card import ModelCard
from exporter.accuracy import gate as accuracy_gate
from exporter.accuracy.evaluation import for_card, read_set
from exporter.accuracy.gate import Candidate, Examined
from exporter.building.graph import plan, write
from exporter.building.subject import Subject, ask
from exporter.built import Built
from exporter.graph.scorer import predictors
from exporter.graph.serving_graph import ServingGraph
from exporter.options import ExportOptions
from exporter.progress import Reporter
from exporter.proof import behaviour, goldens, parity
from exporter.settings import Settings
from exporter.sources import labels
from exporter.sources.loading import Load
from exporter.store import card_text, inventory, warmup


def build(
    load: Load,
    options: ExportOptions,
    settings: Settings,
    report: Reporter,
    version_path: Path,
) -> Built:
    """Load, wrap, freeze, compare and write.

    Args:
        load: gives the source; called once.
        options: what and how.
        settings: timeouts, batch sizes.
        report: told about each of its five steps.
        version_path: the staged version's folder, to be made.

    Raises:
        ExporterError: one of its three kinds.
    """
    report.step("loading the source")
    subject = ask(load(report), options, settings, report)
    report.step("building the graph")
    planned = plan(subject, options, settings, report)
    graph, chosen = planned.graph, planned.chosen
    if subject.changing:
        behaviour.refuse_state(
            graph.score, subject.pixels, bound=chosen.parity_bound, changing=subject.changing
        )
    subject.lines += behaviour.require_healthy(
        graph.score,
        subject.pixels,
        bound=chosen.parity_bound,
        may_be_constant=subject.is_randomly_weighted,
    )
    report.step("comparing with the source")
    answers = parity.golden_answers(graph, subject.files, subject.pixels, subject.expected)
    found = parity.require_parity(
        graph, answers, chosen.parity_bound, options.encoded_parity_bound, subject.precision
    )
    subject.lines += parity.lines(found)
    examined = _examine(subject, graph, options, report)
    report.step("writing the staged version")
    frozen = planned.freeze(graph.concrete)
    card = ModelCard(
        model_name=options.name,
        task=subject.task,
        classes=labels.to_classes(subject.classes),
        k=subject.k,
        image=subject.image,
        preprocess=subject.preprocess,
        is_grey=subject.is_grey,
        precision=chosen.precision or subject.precision,
        is_compiled=chosen.is_compiled,
        tflite=chosen.tflite_card,
        is_frozen=frozen is not None,
        source=subject.source,
        frameworks={"tensorflow": tf.__version__, "keras": keras.__version__},
        evaluation=for_card(examined.evaluation) if examined else None,
        parity=found,
        exported_at=datetime.now(UTC),
    )
    text = card.model_dump_json()
    if options.openvino != "never":
        text = card_text.with_room(text)
    write(planned, frozen, subject, version_path, text)
    chosen.write(version_path)
    inventory.write_card(version_path, card)
    goldens.write(version_path, subject.files, answers)
    warmup.write(version_path, card, settings.max_batch_size)
    return Built(tuple(subject.lines), text, examined)


def _examine(
    subject: Subject, graph: ServingGraph, options: ExportOptions, report: Reporter
) -> Examined | None:
    if options.accuracy is None:
        return None
    candidate = Candidate(
        name=options.name,
        classify=graph.score,
        predictors=predictors(subject.held.network),
        classes=labels.to_classes(subject.classes),
        image=subject.image,
        preprocess=subject.preprocess,
    )
    pictures = read_set(options.accuracy.pictures)
    examined = accuracy_gate.examine(candidate, pictures, options.accuracy, report)
    subject.lines += examined.lines
    return examined
