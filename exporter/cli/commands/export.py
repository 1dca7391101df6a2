"""`export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from contract.image_spec import Filter, Fit
from exporter import export, preflight
from exporter.build_process import build_apart
from exporter.cli.output import say_published
from exporter.cli.parameters import PUBLISH_PANEL, BasePath, parse_size, require_bound
from exporter.errors import UsageError
from exporter.options import (
    IMAGENET,
    AccuracyOptions,
    ActivationOption,
    ExportOptions,
    Freeze,
    Precision,
    PreprocessOption,
    TaskOption,
    TensorNames,
    TfLite,
)
from exporter.progress import reporting
from exporter.proof import calibration
from exporter.settings import load_settings
from exporter.sources.selection import Selected, SourceOptions
from exporter.sources.source_files import SourceFiles

PANEL: Final = PUBLISH_PANEL
_SOURCE_PANEL: Final = "What to export (exactly one)"
_LOOKUP_PANEL: Final = "SavedModel: when not obvious"
_PIXELS_PANEL: Final = "Pixels"
_ANSWERS_PANEL: Final = "Answers"
_VARIANTS_PANEL: Final = "Lighter and faster (measured first, see docs/measuring.md)"
_ACCURACY_PANEL: Final = "Accuracy and latency"
_PUBLISHING_PANEL: Final = "Publishing"


def run(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer declares them
    application: Annotated[
        str | None,
        typer.Option(help="A Keras application, e.g. MobileNetV2.", rich_help_panel=_SOURCE_PANEL),
    ] = None,
    keras: Annotated[
        Path | None,
        typer.Option(help="A whole model: FILE.keras or .h5.", rich_help_panel=_SOURCE_PANEL),
    ] = None,
    saved_model: Annotated[
        Path | None,
        typer.Option(help="A TensorFlow SavedModel folder.", rich_help_panel=_SOURCE_PANEL),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Of --application: imagenet (default), none (random) or a weights FILE.",
            rich_help_panel=_SOURCE_PANEL,
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="One label per line, or Keras' class-index JSON; or the word imagenet.",
            rich_help_panel=_ANSWERS_PANEL,
        ),
    ] = None,
    task: Annotated[
        TaskOption,
        typer.Option(help="Softmax or one sigmoid per class.", rich_help_panel=_ANSWERS_PANEL),
    ] = "auto",
    activation: Annotated[
        ActivationOption,
        typer.Option(
            help="What to add behind the network; auto: what logits need.",
            rich_help_panel=_ANSWERS_PANEL,
        ),
    ] = "auto",
    top_k: Annotated[
        int | None,
        typer.Option(min=1, help="Answers per image; at most 10.", rich_help_panel=_ANSWERS_PANEL),
    ] = None,
    preprocess: Annotated[
        PreprocessOption,
        typer.Option(
            help="From 0..255 to what the network expects; auto: as the application, else none.",
            rich_help_panel=_PIXELS_PANEL,
        ),
    ] = "auto",
    image_size: Annotated[
        str | None,
        typer.Option(help="SIDE or HEIGHTxWIDTH; the source's own.", rich_help_panel=_PIXELS_PANEL),
    ] = None,
    fit: Annotated[
        Fit, typer.Option(help="How a photo becomes that size.", rich_help_panel=_PIXELS_PANEL)
    ] = "stretch",
    crop_fraction: Annotated[
        float, typer.Option(help="With --fit center_crop.", rich_help_panel=_PIXELS_PANEL)
    ] = 0.875,
    resample: Annotated[
        Filter, typer.Option("--filter", help="Resampling.", rich_help_panel=_PIXELS_PANEL)
    ] = "bilinear",
    signature: Annotated[
        str | None, typer.Option(help="Its name.", rich_help_panel=_LOOKUP_PANEL)
    ] = None,
    input_name: Annotated[
        str | None,
        typer.Option("--input", help="Of the images.", rich_help_panel=_LOOKUP_PANEL),
    ] = None,
    output_name: Annotated[
        str | None,
        typer.Option("--output", help="Of the scores.", rich_help_panel=_LOOKUP_PANEL),
    ] = None,
    eval_dir: Annotated[
        Path | None,
        typer.Option(
            help="Labelled pictures: a folder per class, a CSV of file,label, or a labels.txt.",
            rich_help_panel=_ACCURACY_PANEL,
        ),
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Least top-1, such as 0.9.", rich_help_panel=_ACCURACY_PANEL
        ),
    ] = None,
    max_regression: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="How much less than the published version's, such as 0.01.",
            rich_help_panel=_ACCURACY_PANEL,
        ),
    ] = None,
    against: Annotated[
        int | None,
        typer.Option(help="That version; default: the highest.", rich_help_panel=_ACCURACY_PANEL),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Of one picture on the gate's model server, 95th percentile.",
            rich_help_panel=_ACCURACY_PANEL,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Model name; the source's own.", rich_help_panel=_PUBLISHING_PANEL),
    ] = None,
    base_path: BasePath = None,
    version: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Refused if it exists; default: the next.",
            rich_help_panel=_PUBLISHING_PANEL,
        ),
    ] = None,
    freeze: Annotated[
        Freeze,
        typer.Option(
            help="Variables to constants: faster, more memory; auto: up to 1.9 GB.",
            rich_help_panel=_PUBLISHING_PANEL,
        ),
    ] = "auto",
    precision: Annotated[
        Precision,
        typer.Option(help="What the graph computes in.", rich_help_panel=_VARIANTS_PANEL),
    ] = "float32",
    jit: Annotated[  # noqa: FBT002 - a typer flag
        bool,
        typer.Option(
            "--jit",
            help="Try XLA; kept only if it is faster here and gives the same answers.",
            rich_help_panel=_VARIANTS_PANEL,
        ),
    ] = False,
    tflite: Annotated[
        TfLite | None,
        typer.Option(
            help="Also a model.tflite, quantised so; int8 needs --calibration-dir.",
            rich_help_panel=_VARIANTS_PANEL,
        ),
    ] = None,
    calibration_dir: Annotated[
        Path | None,
        typer.Option(
            help="Images, also in subfolders, for --tflite int8; else those of --golden-dir.",
            rich_help_panel=_VARIANTS_PANEL,
        ),
    ] = None,
    golden_dir: Annotated[
        Path | None,
        typer.Option(
            help="More images for the parity check than the drawn ones.",
            rich_help_panel=_PUBLISHING_PANEL,
        ),
    ] = None,
    parity_bound: Annotated[
        float | None,
        typer.Option(
            callback=require_bound,
            help="Largest difference of a probability.",
            rich_help_panel=_PUBLISHING_PANEL,
        ),
    ] = None,
    encoded_parity_bound: Annotated[
        float | None,
        typer.Option(
            callback=require_bound,
            help="The same for files decoded in the graph (top_k_encoded).",
            rich_help_panel=_PUBLISHING_PANEL,
        ),
    ] = None,
    allow_op: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="An operation that reads or writes files, or runs Python, and may; repeatable.",
            rich_help_panel=_PUBLISHING_PANEL,
        ),
    ] = None,
) -> None:
    """Publish a model as the next version, after proving it.

    [bold]Examples[/bold]

      python -m exporter export --application MobileNetV2

      python -m exporter export --application ResNet50 --weights resnet50.weights.h5

      python -m exporter export --keras flowers.keras --labels flowers.txt --name flowers

      python -m exporter export --saved-model exported/ --preprocess tf --image-size 224
    """
    if sum(each is not None for each in (application, keras, saved_model)) != 1:
        raise UsageError("name exactly one of --application, --keras and --saved-model")
    if weights is not None and not application:
        raise UsageError("--weights goes with --application; the other sources bring their own")
    if (signature or input_name or output_name) and not saved_model:
        raise UsageError("--signature, --input and --output go with --saved-model")
    if precision == "bfloat16" and freeze == "never":
        raise UsageError("--precision bfloat16 rewrites a frozen graph: leave --freeze never out")
    accuracy = _accuracy(eval_dir, min_accuracy, max_regression, against)
    settings = load_settings()
    size = parse_size(image_size)
    calibration.find(tflite, calibration_dir, golden_dir)
    files = SourceFiles(
        application=application,
        keras_file=keras,
        saved_model=saved_model,
    )
    preflight.require_sources(files, labels=labels, golden_dir=golden_dir, settings=settings)
    image: dict[str, Any] = {"fit": fit, "crop_fraction": crop_fraction, "filter": resample}
    if size:
        image |= {"height": size[0], "width": size[1]}
    options = ExportOptions(
        name=files.default_name() if name is None else name,
        base_path=base_path or settings.base_path,
        version=version,
        labels=labels,
        image=image,
        preprocess=None if preprocess == "auto" else preprocess,
        task=None if task == "auto" else task,
        activation=None if activation == "auto" else activation,
        k=top_k,
        freeze=freeze,
        precision=precision,
        jit=jit,
        tflite=tflite,
        calibration_dir=calibration_dir,
        golden_dir=golden_dir,
        parity_bound=settings.parity_bound if parity_bound is None else parity_bound,
        encoded_parity_bound=settings.encoded_parity_bound
        if encoded_parity_bound is None
        else encoded_parity_bound,
        allowed_ops=tuple(allow_op or ()),
        accuracy=accuracy,
        max_latency_ms=max_latency_ms,
    )
    preflight.require_target(options, source_bytes=files.size_bytes())
    source_options = SourceOptions(
        application=application,
        keras_file=keras,
        saved_model=saved_model,
        weights=IMAGENET if weights is None else weights,
        image_size=size,
        labels=labels,
        names=TensorNames(signature, input_name, output_name),
        allowed_ops=tuple(allow_op or ()),
    )
    console = Console()
    with reporting(console, export.STEPS) as report:
        published = export.export(
            Selected(source_options, settings), options, settings, report, build_apart
        )
    say_published(console, published)


def _accuracy(
    eval_dir: Path | None,
    min_accuracy: float | None,
    max_regression: float | None,
    against: int | None,
) -> AccuracyOptions | None:
    if against is not None and max_regression is None:
        raise UsageError("--against says with which version --max-regression compares; say both")
    if eval_dir is not None:
        return AccuracyOptions(
            pictures=eval_dir,
            min_accuracy=min_accuracy,
            max_regression=max_regression,
            against=against,
        )
    if min_accuracy is not None or max_regression is not None:
        raise UsageError("--min-accuracy and --max-regression need labelled pictures: --eval-dir")
    return None
