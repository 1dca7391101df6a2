"""The use case: a source in, a proven version out. Knows no command line and prints nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from pydantic import ValidationError

from contract.card import Evaluation, ModelCard, Task
from contract.pixels import ImageSpec
from contract.signatures import DEFAULT_K
from exporter import gate, goldens, inventory, labels, manifest, publish, warmup
from exporter.application_source import IMAGENET, imagenet_classes
from exporter.catalog import IMAGENET_CLASS_COUNT
from exporter.choices import Activation, Freeze, Preprocess
from exporter.classifier import Classifier, make_classifier
from exporter.errors import FailedError, UsageError, first_line
from exporter.freeze import freeze, trace
from exporter.replay import Checked
from exporter.signatures import Signatures

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.progress import Reporter
    from exporter.settings import Settings
    from exporter.sources import Network

STEPS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to export and how. None: found out from the source."""

    name: str
    base_path: Path
    version: int | None = None
    labels: str | None = None
    """A file, or `imagenet`."""
    image: dict[str, Any] = field(default_factory=dict)
    """Fields of ImageSpec that differ from its defaults."""
    preprocess: Preprocess | None = None
    task: Task | None = None
    activation: Activation | None = None
    k: int | None = None
    freeze: Freeze = "auto"
    golden_dir: Path | None = None
    golden_files: tuple[goldens.GoldenFile, ...] = ()
    """More golden images, for callers in Python."""
    parity_bound: float
    evaluation: Evaluation | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A visible version."""

    path: Path
    version: int
    card: ModelCard
    checked: list[Checked]


def export(
    load: Callable[[Reporter], Network], request: Request, settings: Settings, report: Reporter
) -> Published:
    """Load, wrap, freeze, prove and publish.

    Args:
        load: gives the source; called once, after the cheap checks.
        request: what and how.
        settings: timeouts, model server, batch sizes.
        report: told about each of the `STEPS` steps.

    Raises:
        ExporterError: one of its three kinds; nothing is visible then.
    """
    _require_name(request.name)
    model_path = request.base_path / request.name
    if request.version is not None:
        publish.require_free(model_path, request.version)
    report.step("loading the source")
    network = load(report)
    image = _image_spec(network, request)
    files = _golden_files(request)
    pixels = goldens.to_pixels(files, image)
    report.step("asking the source for golden answers")
    classifier = make_classifier(
        network,
        pixels,
        mode=request.preprocess,
        task=request.task,
        activation=request.activation,
    )
    classes = _class_names(network, classifier, request, settings, report)
    _explain(network, classifier, classes, request, report)
    k = _top_k(request.k, classifier.class_count)
    report.step("building the graph")
    concrete, weight_bytes = trace(classifier.classify, height=image.height, width=image.width)
    classify, is_frozen = freeze(concrete, weight_bytes, request.freeze)
    signatures = Signatures(classify, image=image, labels=[each.label for each in classes], k=k)
    report.step("comparing with the source")
    answers = gate.golden_answers(signatures, files, pixels, classifier)
    parity = gate.require_parity(answers, signatures, request.parity_bound)
    card = ModelCard(
        model_name=request.name,
        task=classifier.task,
        classes=labels.to_classes(classes),
        k=k,
        image=image,
        preprocess=classifier.preprocess,
        precision=network.precision,
        is_frozen=is_frozen,
        source=network.source,
        frameworks={"tensorflow": tf.__version__, "keras": keras.__version__},
        evaluation=request.evaluation,
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
        path = staged.publish(request.version)
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
        options = tf.saved_model.SaveOptions(
            # Nobody trains what we serve, and gradients (swish has its own) would reach for
            # tensors that freezing has removed.
            experimental_custom_gradients=False
        )
        tf.saved_model.save(module, str(version), signatures=functions, options=options)
    except Exception as error:
        raise FailedError(f"cannot write the SavedModel: {first_line(error)}") from error
    inventory.write_card(version, card)


def _image_spec(network: Network, request: Request) -> ImageSpec:
    wanted = dict(request.image)
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


def _golden_files(request: Request) -> tuple[goldens.GoldenFile, ...]:
    own = goldens.read_folder(request.golden_dir) if request.golden_dir else ()
    return (*goldens.draw(), *own, *request.golden_files)


def _class_names(
    network: Network,
    classifier: Classifier,
    request: Request,
    settings: Settings,
    report: Reporter,
) -> tuple[labels.ClassName, ...]:
    count = classifier.class_count
    if request.labels == IMAGENET:
        names = imagenet_classes(settings, report)
    elif request.labels is not None:
        names = labels.read(Path(request.labels))
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
    classifier: Classifier,
    classes: tuple[labels.ClassName, ...],
    request: Request,
    report: Reporter,
) -> None:
    """Say what was assumed: each of these is silent and wrong when the assumption is."""
    if network.is_randomly_weighted:
        report.note("random weights: the answers mean nothing")
    if network.preprocess is None and request.preprocess is None:
        inside = "it rescales inside" if network.has_rescaling else "it may expect otherwise"
        report.note(f"preprocess none: the network gets pixels 0..255 ({inside}; see --preprocess)")
    if classifier.activation != "none" and request.activation is None:
        report.note(f"the scores are logits: adding {classifier.activation} (see --activation)")
    twice = labels.duplicates(classes)
    if twice:
        report.note(f"labels that several classes share: {', '.join(twice[:5])}")


def _top_k(wanted: int | None, class_count: int) -> int:
    if wanted is not None and not 1 <= wanted <= class_count:
        raise UsageError(f"--top-k {wanted}: the model has {class_count} classes")
    return wanted or min(class_count, DEFAULT_K)
