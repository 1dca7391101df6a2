"""`export`."""

# ruff: noqa: PLC0415 - what needs TensorFlow is imported after the cheap checks

from __future__ import annotations

from typing import Any, Final

from rich.console import Console

from exporter import preprocessing
from exporter.cli import export_options as option
from exporter.cli.output import say_published
from exporter.cli.parameters import PUBLISH_PANEL, BasePath
from exporter.errors import UsageError
from exporter.options import ExportOptions, FilterOption, FitOption, PixelsOption
from exporter.pixel_presets import PRESETS
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
    pixels: option.Pixels = None,
    fit: option.Fit = "auto",
    crop_fraction: option.CropFraction = None,
    resample: option.Filter = "auto",
    antialias: option.Antialias = None,
    custom_objects: option.CustomObjects = None,
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
    if signature and not saved_model:
        raise UsageError("--signature goes with --saved-model")
    if (input_name or output_name) and application:
        raise UsageError("--input and --output go with --keras and --saved-model")
    if custom_objects and not keras:
        raise UsageError("--custom-objects goes with --keras")
    settings = load_settings()
    mode = None if preprocess == "auto" else preprocessing.parse(preprocess)
    size = _parse_size(image_size)
    image = _image_fields(pixels, fit, crop_fraction, resample, antialias)
    if size:
        image |= {"height": size[0], "width": size[1]}

    from exporter import export
    from exporter.sources.selection import SourceOptions, select_source
    from exporter.sources.tensor_names import TensorNames

    source_options = SourceOptions(
        application=application,
        keras_file=keras,
        saved_model=saved_model,
        weights=weights or "imagenet",
        image_size=size,
        labels=labels,
        custom_objects=custom_objects,
        names=TensorNames(signature, input_name, output_name),
    )
    source = select_source(source_options, settings)
    options = ExportOptions(
        name=name or source.default_name,
        base_path=base_path or settings.base_path,
        version=version,
        labels=labels,
        image=image,
        preprocess=mode,
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


def _image_fields(
    pixels: PixelsOption | None,
    fit: FitOption,
    crop_fraction: float | None,
    resample: FilterOption,
    antialias: bool | None,  # noqa: FBT001 - it has no default, and the caller names it
) -> dict[str, Any]:
    """What was decided: the preset, and over it the single options."""
    decided = {
        "fit": None if fit == "auto" else fit,
        "crop_fraction": crop_fraction,
        "filter": None if resample == "auto" else resample,
        "antialias": antialias,
    }
    single = {key: value for key, value in decided.items() if value is not None}
    return {**(PRESETS[pixels] if pixels else {}), **single}


def _parse_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    sides = [int(part) for part in parts if part.isascii() and part.isdigit() and int(part) > 0]
    if len(sides) != len(parts) or len(sides) > 2:  # noqa: PLR2004 - height and width
        raise UsageError(f"--image-size {text}: write 224 or 224x320 (height x width)")
    return (sides[0], sides[-1])
