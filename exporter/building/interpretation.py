"""How a source is understood: its pixels, labels and goldens, and what was assumed on the way."""

from __future__ import annotations

from pydantic import ValidationError

from contract.image_spec import ImageSpec
from contract.signatures import DEFAULT_K
from exporter.errors import UsageError
from exporter.graph.scorer import Scorer
from exporter.options import IMAGENET, ExportOptions, GoldenFile
from exporter.progress import Reporter
from exporter.proof import bounds, goldens
from exporter.settings import Settings
from exporter.sources import labels, rescaling
from exporter.sources.application import imagenet_classes
from exporter.sources.known_applications import IMAGENET_CLASS_COUNT
from exporter.sources.network import Network


def image_spec(network: Network, options: ExportOptions) -> ImageSpec:
    """How files become pixels: the source's size, the options' way.

    Raises:
        UsageError: the two contradict each other, or neither says a size.
    """
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


def golden_files(network: Network, options: ExportOptions) -> tuple[GoldenFile, ...]:
    """The drawn images, the user's and the source's own."""
    own = goldens.read_folder(options.golden_dir) if options.golden_dir else ()
    return (*goldens.draw(), *own, *network.golden_files)


def class_names(
    network: Network,
    scorer: Scorer,
    options: ExportOptions,
    settings: Settings,
    report: Reporter,
) -> tuple[labels.ClassName, ...]:
    """The labels: the options' file, or the source's own, or made up.

    Raises:
        UsageError: their number is not that of the classes.
    """
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


def explain(
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
    if scorer.is_binary:
        report.note(f"one output p is two classes: {classes[0].label} 1-p, {classes[1].label} p")
    if scorer.activation != "none" and options.activation is None:
        report.note(f"the scores are logits: adding {scorer.activation} (see --activation)")
    twice = labels.duplicates(classes)
    if twice:
        report.note(f"labels that several classes share: {', '.join(twice[:5])}")


def parity_bound(network: Network, options: ExportOptions) -> float:
    """How far a probability may be from the source's: as told, else by the source's precision."""
    if options.parity_bound is not None:
        return options.parity_bound
    return bounds.parity_bound(network.precision)


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


def top_k(wanted: int | None, class_count: int) -> int:
    """How many classes `top_k` answers.

    Raises:
        UsageError: more than there are.
    """
    if wanted is not None and not 1 <= wanted <= class_count:
        raise UsageError(f"--top-k {wanted}: the model has {class_count} classes")
    return wanted or min(class_count, DEFAULT_K)
