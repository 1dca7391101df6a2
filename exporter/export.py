"""The use case: a source in, a proven version out. Prints nothing; its errors name options."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from pydantic import ValidationError

from contract.card import ModelCard
from contract.image_spec import ImageSpec
from contract.signatures import DEFAULT_K
from exporter.errors import FailedError, UsageError, first_line
from exporter.graph.freeze import freeze, trace
from exporter.graph.functions import Signatures
from exporter.graph.scorer import Scorer, make_scorer
from exporter.options import ExportOptions, GoldenFile
from exporter.progress import Reporter
from exporter.proof import bounds, gate, goldens
from exporter.proof.replay import Checked
from exporter.settings import Settings
from exporter.sources import labels, rescaling
from exporter.sources.application import IMAGENET, imagenet_classes
from exporter.sources.known_applications import IMAGENET_CLASS_COUNT
from exporter.sources.network import Network
from exporter.store import inventory, manifest, publish, warmup

STEPS = 7


@dataclass(frozen=True, slots=True)
class Published:
    """A visible version."""

    path: Path
    version: int
    card: ModelCard
    checked: list[Checked]


def export(
    load: Callable[[Reporter], Network],
    options: ExportOptions,
    settings: Settings,
    report: Reporter,
) -> Published:
    """Load, wrap, freeze, prove and publish.

    Args:
        load: gives the source; called once, after the cheap checks.
        options: what and how.
        settings: timeouts, model server, batch sizes.
        report: told about each of the `STEPS` steps.

    Raises:
        ExporterError: one of its three kinds; nothing is visible then.
    """
    _require_name(options.name)
    model_path = options.base_path / options.name
    if options.version is not None:
        publish.require_free(model_path, options.version)
    report.step("loading the source")
    network = load(report)
    image = _image_spec(network, options)
    files = _golden_files(options)
    pixels = goldens.to_pixels(files, image)
    report.step("asking the source for golden answers")
    scorer = make_scorer(
        network,
        pixels,
        mode=options.preprocess,
        task=options.task,
        activation=options.activation,
    )
    classes = _class_names(network, scorer, options, settings, report)
    _explain(network, scorer, classes, options, report)
    k = _top_k(options.k, scorer.class_count)
    report.step("building the graph")
    concrete, weight_bytes = trace(scorer.score, height=image.height, width=image.width)
    score, is_frozen = freeze(concrete, weight_bytes, options.freeze)
    signatures = Signatures(score, image=image, labels=[each.label for each in classes], k=k)
    report.step("comparing with the source")
    answers = gate.golden_answers(signatures, files, pixels, scorer)
    bound = options.parity_bound
    if bound is None:
        bound = bounds.parity_bound(network.precision)
    parity = gate.require_parity(answers, signatures, bound, network.precision)
    card = ModelCard(
        model_name=options.name,
        task=scorer.task,
        classes=labels.to_classes(classes),
        k=k,
        image=image,
        preprocess=str(scorer.preprocess),
        is_grey=network.channels == 1,
        precision=network.precision,
        is_frozen=is_frozen,
        source=network.source,
        frameworks={"tensorflow": tf.__version__, "keras": keras.__version__},
        evaluation=options.evaluation,
        parity=parity,
        exported_at=datetime.now(UTC),
    )
    with publish.staging(model_path) as staged:
        report.step("writing the staged version")
        tracked = None if is_frozen else (network.tracked, concrete)
        _save(staged.version_path, signatures, card, tracked)
        goldens.write(staged.version_path, files, answers)
        warmup.write(staged.version_path, card, settings.max_batch_size)
        report.step("proving it on a model server")
        checked = gate.prove(staged.base_path, answers, card, settings)
        report.step("publishing")
        manifest.write(staged.version_path)
        path = staged.publish(options.version)
    return Published(path, int(path.name), card, checked)


def _require_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UsageError(
            f"--name {name!r}: letters, digits, '.', '_' and '-' only, as it becomes a folder and "
            "part of URLs"
        )


def _save(version: Path, signatures: Signatures, card: ModelCard, tracked: Any) -> None:
    module = tf.Module()
    module.tracked = tracked
    functions = signatures.with_model_card(card.model_dump_json())
    try:
        save_options = tf.saved_model.SaveOptions(
            # Nobody trains what we serve, and gradients (swish has its own) would reach for
            # tensors that freezing has removed.
            experimental_custom_gradients=False
        )
        tf.saved_model.save(module, str(version), signatures=functions, options=save_options)
    except Exception as error:
        raise FailedError(f"cannot write the SavedModel: {first_line(error)}") from error
    inventory.write_card(version, card)


def _image_spec(network: Network, options: ExportOptions) -> ImageSpec:
    wanted = {**network.evaluated, **options.image}
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


def _golden_files(options: ExportOptions) -> tuple[GoldenFile, ...]:
    own = goldens.read_folder(options.golden_dir) if options.golden_dir else ()
    return (*goldens.draw(), *own, *options.golden_files)


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
        names = labels.read(options.labels)
    elif network.classes is not None:
        names = network.classes
    else:
        hint = " or --labels imagenet" if count == IMAGENET_CLASS_COUNT else ""
        report.note(f"no labels: calling the classes class_0 … (--labels FILE{hint} names them)")
        return labels.numbered(count)
    if len(names) != count:
        raise UsageError(
            f"{len(names)} labels for {count} classes; the labels must match the model's output"
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
    notes = (
        rescaling.note(network, options.preprocess),
        _evaluated_note(network, options),
        _precision_note(network, options),
    )
    for note in notes:
        if note:
            report.note(note)
    if scorer.activation != "none" and options.activation is None:
        report.note(f"the scores are logits: adding {scorer.activation} (see --activation)")
    twice = labels.duplicates(classes)
    if twice:
        report.note(f"labels that several classes share: {', '.join(twice[:5])}")


def _evaluated_note(network: Network, options: ExportOptions) -> str | None:
    taken = {key: value for key, value in network.evaluated.items() if key not in options.image}
    if not taken:
        return None
    fields = ", ".join(f"{key} {value}" for key, value in taken.items())
    return f"{fields}: as {network.source.name} was evaluated (see --fit)"


def _precision_note(network: Network, options: ExportOptions) -> str | None:
    if network.precision == "float32" or options.parity_bound is not None:
        return None
    bound = bounds.parity_bound(network.precision)
    return (
        f"it computes in {network.precision}: probabilities may be {bound:g} off its source's "
        "(see --parity-bound)"
    )


def _top_k(wanted: int | None, class_count: int) -> int:
    if wanted is not None and not 1 <= wanted <= class_count:
        raise UsageError(f"--top-k {wanted}: the model has {class_count} classes")
    return wanted or min(class_count, DEFAULT_K)
