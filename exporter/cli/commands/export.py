"""`export`."""

# ruff: noqa: PLC0415 - what needs TensorFlow is imported after the cheap checks

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from contract.image_spec import Filter, Fit
from exporter.cli.output import say_published
from exporter.cli.parameters import PUBLISH_PANEL, BasePath, require_bound
from exporter.errors import UsageError
from exporter.options import ActivationOption, ExportOptions, Freeze, PreprocessOption, TaskOption
from exporter.progress import reporting
from exporter.settings import load_settings

PANEL: Final = PUBLISH_PANEL
_SOURCE_PANEL: Final = "What to export (exactly one)"
_LOOKUP_PANEL: Final = "SavedModel: when not obvious"
_PIXELS_PANEL: Final = "Pixels"
_ANSWERS_PANEL: Final = "Answers"
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
    onnx: Annotated[
        Path | None,
        typer.Option(
            help="An ONNX classifier of [N,3,H,W] or [N,H,W,3] (extra: onnx).",
            rich_help_panel=_SOURCE_PANEL,
        ),
    ] = None,
    torch: Annotated[
        Path | None,
        typer.Option(
            help="A PyTorch program: FILE.pt2 of torch.export.save. Runs its code: trust it first.",
            rich_help_panel=_SOURCE_PANEL,
        ),
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
) -> None:
    """Publish a model as the next version, after proving it.

    [bold]Examples[/bold]

      python -m exporter export --application MobileNetV2

      python -m exporter export --application ResNet50 --weights resnet50.weights.h5

      python -m exporter export --keras flowers.keras --labels flowers.txt --name flowers

      python -m exporter export --saved-model exported/ --preprocess tf --image-size 224

      python -m exporter export --onnx resnet18.onnx --preprocess torch --labels imagenet
    """
    if sum(each is not None for each in (application, keras, saved_model, onnx, torch)) != 1:
        raise UsageError(
            "name exactly one of --application, --keras, --saved-model, --onnx and --torch"
        )
    if weights and not application:
        raise UsageError("--weights goes with --application; the other sources bring their own")
    if (signature or input_name) and not saved_model:
        raise UsageError("--signature and --input go with --saved-model")
    if output_name and not (saved_model or onnx or torch):
        raise UsageError("--output goes with --saved-model, --onnx and --torch")
    settings = load_settings()
    size = _parse_size(image_size)

    from exporter import export
    from exporter.sources.saved_model import TensorNames
    from exporter.sources.selection import SourceOptions, select_source

    source_options = SourceOptions(
        application=application,
        keras_file=keras,
        saved_model=saved_model,
        onnx_file=onnx,
        torch_file=torch,
        weights=weights or "imagenet",
        image_size=size,
        labels=labels,
        names=TensorNames(signature, input_name, output_name),
    )
    source = select_source(source_options, settings)
    image: dict[str, Any] = {"fit": fit, "crop_fraction": crop_fraction, "filter": resample}
    if size:
        image |= {"height": size[0], "width": size[1]}
    options = ExportOptions(
        name=name or source.default_name,
        base_path=base_path or settings.base_path,
        version=version,
        labels=labels,
        image=image,
        preprocess=None if preprocess == "auto" else preprocess,
        task=None if task == "auto" else task,
        activation=None if activation == "auto" else activation,
        k=top_k,
        freeze=freeze,
        golden_dir=golden_dir,
        parity_bound=settings.parity_bound if parity_bound is None else parity_bound,
    )
    console = Console()
    with reporting(console, export.STEPS) as report:
        published = export.export(source.load, options, settings, report)
    say_published(console, published)


def _parse_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    sides = [int(part) for part in parts if part.isascii() and part.isdigit() and int(part) > 0]
    if len(sides) != len(parts) or len(sides) > 2:  # noqa: PLR2004 - height and width
        raise UsageError(f"--image-size {text}: write 224 or 224x320 (height x width)")
    return (sides[0], sides[-1])
