"""`evaluate`."""

# ruff: noqa: PLC0415 - clients and image libraries are imported when somebody evaluates

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from contract.image_spec import Filter, Fit
from exporter import preprocessing
from exporter.cli.parameters import LOOK_PANEL, ApiKey, AsJson, BasePath, parse_size
from exporter.cli.quiet import talking
from exporter.errors import RefusedError
from exporter.options import ActivationOption, SourceChoices
from exporter.progress import reporting
from exporter.settings import load_settings

PANEL: Final = LOOK_PANEL
_SOURCE_PANEL: Final = "When a file or SavedModel is evaluated"
_STEPS: Final = 2


def run(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer declares them
    target: Annotated[
        str,
        typer.Argument(
            help="NAME or NAME:VERSION below the base path; a .keras, .h5 or SavedModel PATH; or "
            "the URL of a gateway or model server."
        ),
    ],
    pictures: Annotated[
        Path,
        typer.Argument(
            help="A folder per class, a CSV of file,label, or a labels.txt.", metavar="DIR"
        ),
    ],
    version: Annotated[
        int | None, typer.Option(help="Which version; default: the highest.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Its name behind a URL; default: the gateway's own.")
    ] = None,
    base_path: BasePath = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Refuse (exit 4) below this top-1, such as 0.9."),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write a table of the answer to every picture.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page: confusion matrix, calibration, the worst mistakes."),
    ] = None,
    api_key: ApiKey = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Its labels: a file, a folder of classes or a list such as cat,dog.",
            rich_help_panel=_SOURCE_PANEL,
        ),
    ] = None,
    preprocess: Annotated[
        str,
        typer.Option(
            help="From 0..255 to what it expects: auto, none, tf, torch, caffe, rescale.",
            rich_help_panel=_SOURCE_PANEL,
        ),
    ] = "auto",
    activation: Annotated[
        ActivationOption,
        typer.Option(
            help="What to add behind it to get probabilities; auto: what logits need.",
            rich_help_panel=_SOURCE_PANEL,
        ),
    ] = "auto",
    image_size: Annotated[
        str | None,
        typer.Option(
            help="Size of its images in pixels, SIDE or HEIGHTxWIDTH; default: its own.",
            rich_help_panel=_SOURCE_PANEL,
        ),
    ] = None,
    fit: Annotated[
        Fit | None,
        typer.Option(
            help="How a photo becomes its size; default: stretch.", rich_help_panel=_SOURCE_PANEL
        ),
    ] = None,
    crop_fraction: Annotated[
        float | None,
        typer.Option(
            help="Part of the picture that --fit center_crop keeps, 0..1; default: 0.875.",
            rich_help_panel=_SOURCE_PANEL,
        ),
    ] = None,
    resample: Annotated[
        Filter | None,
        typer.Option(
            "--filter",
            help="Filter of the resizing; default: bilinear.",
            rich_help_panel=_SOURCE_PANEL,
        ),
    ] = None,
    signature: Annotated[
        str | None,
        typer.Option(
            help="Name of a SavedModel's signature that classifies images.",
            rich_help_panel=_SOURCE_PANEL,
        ),
    ] = None,
    input_name: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Name of the input that takes the images, where there are several.",
            rich_help_panel=_SOURCE_PANEL,
        ),
    ] = None,
    output_name: Annotated[
        str | None,
        typer.Option(
            "--output",
            help="Name of the output that holds the scores, where there are several.",
            rich_help_panel=_SOURCE_PANEL,
        ),
    ] = None,
) -> None:
    """Measure a classifier on labelled pictures.

    Accuracy, precision and recall per class, confusion, calibration and the worst mistakes.

    [bold]Examples[/bold]

      python -m exporter evaluate digits /tmp/digits --html digits.html

      python -m exporter evaluate flowers.keras photos/ --labels flowers.txt --preprocess tf

      python -m exporter evaluate http://localhost:8000 photos/

      python -m exporter evaluate grpc://localhost:8500 photos.csv --model flowers --json
    """
    settings = load_settings()

    from exporter.accuracy.evaluation import evaluate, read_set
    from exporter.cli.evaluation_output import show
    from exporter.targets import Target, connected

    size = parse_size(image_size)
    image: dict[str, Any] = {"fit": fit, "crop_fraction": crop_fraction, "filter": resample}
    image |= {"height": size[0], "width": size[1]} if size else {}
    choices = SourceChoices(
        labels=labels,
        preprocess=None if preprocess == "auto" else preprocessing.parse(preprocess),
        activation=None if activation == "auto" else activation,
        image={name: value for name, value in image.items() if value is not None},
        signature=signature,
        input_name=input_name,
        output_name=output_name,
    )
    wanted = Target(
        text=target,
        base_path=base_path or settings.base_path,
        model_name=model,
        version=version,
        api_key=api_key,
        choices=choices,
    )
    found = read_set(pictures)
    with reporting(talking(as_json=as_json), _STEPS) as report:
        report.step(f"connecting to {target}")
        with connected(wanted, settings, report) as answerer:
            report.step(f"asking {answerer.name} for {len(found.files)} pictures")
            evaluation = evaluate(answerer, found, report)
    show(evaluation, Console(stderr=as_json), csv_file=csv_file, html=html, as_json=as_json)
    top_1 = evaluation.metrics.top_1
    if min_accuracy is not None and top_1 < min_accuracy:
        raise RefusedError(
            f"top-1 accuracy {top_1:.4f}, wanted are {min_accuracy:g} (--min-accuracy)",
            step="accuracy",
        )
