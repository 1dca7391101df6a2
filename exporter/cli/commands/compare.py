"""`compare`."""

# ruff: noqa: PLC0415 - what needs TensorFlow is imported after the cheap checks

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from exporter.cli.measuring import (
    BatchSizes,
    JsonFile,
    PngFile,
    Repeat,
    Seconds,
    Weights,
    require_folder,
    to_sizes,
)
from exporter.cli.output import say, say_table
from exporter.cli.parameters import MEASURE_PANEL, AsJson, BasePath
from exporter.cli.quiet import talking_aside
from exporter.errors import UsageError
from exporter.measure import comparison, machine, plot, tables
from exporter.measure.targets import find_target
from exporter.measure.timing import Budget
from exporter.progress import reporting
from exporter.settings import load_settings

PANEL: Final = MEASURE_PANEL


def run(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer declares them
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="A B …", help="NAME:VERSION, or files, folders and applications, as benchmark."
        ),
    ],
    images: Annotated[
        Path | None, typer.Option(help="Folder per class: also measure top-1 on these images.")
    ] = None,
    batch: BatchSizes = "1,4,16,32",
    seconds: Seconds = 1.0,
    repeat: Repeat = None,
    memory: Annotated[  # noqa: FBT002 - a typer flag
        bool, typer.Option(help="Load each in a process of its own and take its peak.")
    ] = True,
    weights: Weights = "imagenet",
    base_path: BasePath = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
    json_file: JsonFile = None,
    markdown: Annotated[  # noqa: FBT002 - a typer flag
        bool, typer.Option("--markdown", help="Print the table as Markdown.")
    ] = False,
    png: PngFile = None,
) -> None:
    """Compare models: size, memory, latency, throughput and accuracy, measured in turns.

    [bold]Example[/bold]

      python -m exporter compare digits:1 digits:2 --images held-out/
    """
    if len(set(models)) != len(models):
        raise UsageError("name each model once")
    settings = load_settings()
    path = base_path or settings.base_path
    targets = [find_target(each, path) for each in models]
    sizes = to_sizes(batch)
    require_folder(json_file, png)
    if images is not None and not images.is_dir():
        raise UsageError(f"--images {images}: there is no such folder")
    if png is not None:
        plot.require_matplotlib()

    from exporter.measure.contestants import enter

    with reporting(talking_aside(), comparison.STEPS) as report:
        entered = enter(
            targets, path, settings, report, weights=weights, images=images, with_memory=memory
        )
        report.step("measuring")
        rows = comparison.run(entered, sizes, Budget(seconds, repeat), report)
    measured_on = machine.describe()
    content = comparison.to_json(rows, measured_on)
    if json_file:
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if png:
        plot.comparison_png(rows, png)
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    elif markdown:
        typer.echo(tables.comparison_markdown(rows))
    else:
        console = Console()
        say_table(console, tables.comparison_table(rows))
        say(console, "", *tables.machine_lines(measured_on))
