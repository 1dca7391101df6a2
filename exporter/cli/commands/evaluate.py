"""`evaluate`."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from contract.image_spec import Filter, Fit
from exporter.accuracy.evaluation import Evaluation, evaluate, named, read_set
from exporter.accuracy.mistakes import worst
from exporter.cli.output import say
from exporter.cli.parameters import LOOK_PANEL, AsJson, BasePath, parse_size
from exporter.errors import FailedError, RefusedError
from exporter.options import ActivationOption, PreprocessOption, SourceChoices
from exporter.progress import reporting
from exporter.report.content import EvaluationContent
from exporter.report.description import describe_evaluation
from exporter.report.files import write_evaluation
from exporter.settings import load_settings
from exporter.targets import Target, connected

PANEL: Final = LOOK_PANEL
_SOURCE_PANEL: Final = "Of a source"
_STEPS: Final = 2
_SHOWN_CLASSES: Final = 20
_WIDE: Final = 120


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
        typer.Option(min=0, max=1, help="Exit 4 when top-1 is below, for scripts."),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write the answer to every picture.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page: confusion matrix, calibration, the worst mistakes."),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="EXPORTER_API_KEY", help="For a gateway that asks for one."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="As for export.", rich_help_panel=_SOURCE_PANEL)
    ] = None,
    preprocess: Annotated[
        PreprocessOption, typer.Option(help="As for export.", rich_help_panel=_SOURCE_PANEL)
    ] = "auto",
    activation: Annotated[
        ActivationOption, typer.Option(help="As for export.", rich_help_panel=_SOURCE_PANEL)
    ] = "auto",
    image_size: Annotated[
        str | None, typer.Option(help="SIDE or HEIGHTxWIDTH.", rich_help_panel=_SOURCE_PANEL)
    ] = None,
    fit: Annotated[
        Fit | None, typer.Option(help="As for export.", rich_help_panel=_SOURCE_PANEL)
    ] = None,
    crop_fraction: Annotated[
        float | None, typer.Option(help="As for export.", rich_help_panel=_SOURCE_PANEL)
    ] = None,
    resample: Annotated[
        Filter | None,
        typer.Option("--filter", help="As for export.", rich_help_panel=_SOURCE_PANEL),
    ] = None,
    signature: Annotated[
        str | None, typer.Option(help="As for export.", rich_help_panel=_SOURCE_PANEL)
    ] = None,
    input_name: Annotated[
        str | None, typer.Option("--input", help="As for export.", rich_help_panel=_SOURCE_PANEL)
    ] = None,
    output_name: Annotated[
        str | None, typer.Option("--output", help="As for export.", rich_help_panel=_SOURCE_PANEL)
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
    size = parse_size(image_size)
    image: dict[str, Any] = {"fit": fit, "crop_fraction": crop_fraction, "filter": resample}
    image |= {"height": size[0], "width": size[1]} if size else {}
    choices = SourceChoices(
        labels=labels,
        preprocess=None if preprocess == "auto" else preprocess,
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
    console = Console(stderr=as_json)
    found = read_set(pictures)
    with reporting(console, _STEPS) as report:
        report.step(f"connecting to {target}")
        with connected(wanted, settings, report) as answerer:
            report.step(f"asking {answerer.name} for {len(found.files)} pictures")
            evaluation = evaluate(answerer, found, report)
    _show(evaluation, console, csv_file=csv_file, html=html, as_json=as_json)
    top_1 = evaluation.metrics.top_1
    if min_accuracy is not None and top_1 < min_accuracy:
        raise RefusedError(
            f"top-1 accuracy {top_1:.4f}, wanted are {min_accuracy:g} (--min-accuracy)",
            step="accuracy",
        )


def _show(
    evaluation: Evaluation,
    console: Console,
    *,
    csv_file: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    try:
        if csv_file:
            csv_file.write_text(_rows(evaluation), encoding="utf-8")
        if html:
            write_evaluation(html, evaluation)
    except OSError as error:
        raise FailedError(f"cannot write {error.filename}: {error.strerror}") from error
    content = describe_evaluation(evaluation, worst(evaluation))
    if as_json:
        typer.echo(content.model_dump_json(indent=2))
    else:
        _print(content, evaluation, console)
    if html:
        say(console, f"report: {html}")


def _print(content: EvaluationContent, evaluation: Evaluation, console: Console) -> None:
    top_5 = "-" if content.top_5 is None else f"{content.top_5:.4f}"
    say(
        console,
        f"{content.target} on {content.pictures} pictures of {content.dataset}",
        f"top-1              {content.top_1:.4f}  (95 %: {content.top_1_low:.4f} to "
        f"{content.top_1_high:.4f})",
        f"top-5              {top_5}",
        f"calibration error  {content.ece:.4f}",
    )
    _wide(console).print(_table(content))
    if len(content.classes) > _SHOWN_CLASSES:
        say(console, f"… {len(content.classes) - _SHOWN_CLASSES} more classes: --json or --html")
    for mistake in content.mistakes[:3]:
        say(
            console,
            f"mistake: {mistake.file} is {mistake.truth}, taken for {mistake.predicted} with "
            f"{mistake.probability:.3f}",
        )
    if evaluation.unknown:
        pictures = sum(each.pictures for each in evaluation.unknown)
        say(
            console,
            f"left out: {pictures} pictures of labels that the model does not have: "
            f"{named(evaluation.unknown)}",
        )
    if evaluation.broken:
        say(console, f"broken: {len(evaluation.broken)} files: {named(evaluation.broken)}")


def _table(content: EvaluationContent) -> Table:
    table = Table("class", box=None, pad_edge=False)
    for heading in ("pictures", "precision", "recall"):
        table.add_column(heading, justify="right")
    table.add_column("most taken for")
    by_recall = sorted(content.classes, key=lambda each: (each.recall is None, each.recall))
    labels = {each.class_index: each.label for each in content.classes}
    for each in by_recall[:_SHOWN_CLASSES]:
        wrong = [
            cell for cell in content.confusion if cell.truth == each.class_index != cell.predicted
        ]
        most = max(wrong, key=lambda cell: cell.pictures, default=None)
        table.add_row(
            _plain(each.label),
            str(each.pictures),
            _figure(each.precision),
            _figure(each.recall),
            _plain(f"{labels[most.predicted]} ({most.pictures})") if most else "",
        )
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def _wide(console: Console) -> Console:
    """Not a terminal: wide enough that no column is cut."""
    return console if console.is_terminal else Console(width=_WIDE, stderr=console.stderr)


def _rows(evaluation: Evaluation) -> str:
    """One line per picture, broken ones at the end, as a spreadsheet reads it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("file", "label", "predicted", "probability", "right", "in_top_5", "problem"))
    classes = evaluation.classes
    answers = evaluation.answers
    for place, file in enumerate(evaluation.files):
        truth = int(evaluation.truth[place])
        first = answers.class_indices[place, :5]
        writer.writerow(
            (
                _cell(file.name),
                _cell(classes[truth].label),
                _cell(classes[int(first[0])].label),
                f"{answers.probabilities[place, 0]:.6f}",
                int(first[0] == truth),
                int(truth in first),
                "",
            )
        )
    for broken in evaluation.broken:
        writer.writerow((_cell(broken.name), "", "", "", "", "", _cell(broken.reason)))
    return buffer.getvalue()


def _cell(text: str) -> str:
    """What a spreadsheet would run as a formula is made text."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
