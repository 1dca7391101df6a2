"""What `evaluate` prints and writes: a table for people, JSON, a CSV of every answer, a page."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exporter.accuracy.evaluation import Evaluation, named
from exporter.accuracy.mistakes import worst
from exporter.cli.output import say, say_table
from exporter.errors import FailedError
from exporter.report.content import EvaluationContent
from exporter.report.description import describe_evaluation
from exporter.report.files import write_evaluation

_SHOWN_CLASSES: Final = 20
_SHOWN_MISTAKES: Final = 3
_TOP: Final = 5


def show(
    evaluation: Evaluation,
    console: Console,
    *,
    csv_file: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Write the files that are wanted, and say what was found.

    Raises:
        FailedError: a file cannot be written.
    """
    try:
        if csv_file:
            csv_file.write_text(answer_rows(evaluation), encoding="utf-8")
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
    say_table(console, table_of(content))
    if len(content.classes) > _SHOWN_CLASSES:
        say(console, f"… {len(content.classes) - _SHOWN_CLASSES} more classes: --json or --html")
    for mistake in content.mistakes[:_SHOWN_MISTAKES]:
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


def table_of(content: EvaluationContent) -> Table:
    """The classes that are recognised worst: names are folded, figures stay whole."""
    table = Table(box=None, pad_edge=False)
    table.add_column("class", overflow="fold")
    for heading in ("pictures", "precision", "recall"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("most taken for", overflow="fold")
    by_recall = sorted(content.classes, key=lambda each: (each.recall is None, each.recall))
    labels = {each.class_index: each.label for each in content.classes}
    for each in by_recall[:_SHOWN_CLASSES]:
        wrong = [
            cell for cell in content.confusion if cell.truth == each.class_index != cell.predicted
        ]
        most = max(wrong, key=lambda cell: cell.pictures, default=None)
        table.add_row(
            escape(each.label),
            str(each.pictures),
            _figure(each.precision),
            _figure(each.recall),
            escape(f"{labels[most.predicted]} ({most.pictures})") if most else "",
        )
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def answer_rows(evaluation: Evaluation) -> str:
    """One line per picture, broken ones at the end, as a spreadsheet reads it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("file", "label", "predicted", "probability", "right", "in_top_5", "problem"))
    classes = evaluation.classes
    answers = evaluation.answers
    for place, file in enumerate(evaluation.files):
        truth = int(evaluation.truth[place])
        first = answers.class_indices[place, :_TOP]
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
