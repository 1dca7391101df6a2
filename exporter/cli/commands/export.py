"""`export`."""

# ruff: noqa: PLC0415 - what needs TensorFlow is imported after the cheap checks

from __future__ import annotations

from typing import Any, Final

from rich.console import Console

from exporter.cli import export_options as option
from exporter.cli.output import say_published
from exporter.cli.parameters import PUBLISH_PANEL, BasePath
from exporter.errors import UsageError
from exporter.options import ExportOptions
from exporter.progress import reporting
from exporter.settings import load_settings

PANEL: Final = PUBLISH_PANEL


def run(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer declares them
    application: option.Application = None,
    keras: option.Keras = None,
    saved_model: option.SavedModel = None,
    weights: option.Weights = None,
    labels: option.Labels = None,
    task: option.Task = "auto",
    activation: option.Activation = "auto",
    top_k: option.TopK = None,
    preprocess: option.Preprocess = "auto",
    image_size: option.ImageSize = None,
    fit: option.Fit = "stretch",
    crop_fraction: option.CropFraction = 0.875,
    resample: option.Filter = "bilinear",
    signature: option.Signature = None,
    input_name: option.Input = None,
    output_name: option.Output = None,
    name: option.Name = None,
    base_path: BasePath = None,
    version: option.Version = None,
    freeze: option.Freeze = "auto",
    golden_dir: option.GoldenDir = None,
    parity_bound: option.ParityBound = None,
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
    if weights and not application:
        raise UsageError("--weights goes with --application; the other sources bring their own")
    if (signature or input_name or output_name) and not saved_model:
        raise UsageError("--signature, --input and --output go with --saved-model")
    settings = load_settings()
    size = _parse_size(image_size)

    from exporter import export
    from exporter.sources.saved_model import TensorNames
    from exporter.sources.selection import SourceOptions, select_source

    source_options = SourceOptions(
        application=application,
        keras_file=keras,
        saved_model=saved_model,
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
