"""`benchmark`."""

# ruff: noqa: PLC0415 - what needs TensorFlow is imported after the cheap checks

from __future__ import annotations

import json
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from exporter import preprocessing
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
from exporter.measure import benchmark, machine, memory, plot, tables
from exporter.measure.targets import find_target
from exporter.measure.timing import Budget
from exporter.progress import reporting
from exporter.settings import load_settings

PANEL: Final = MEASURE_PANEL


def run(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer declares them
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME|SOURCE",
            help="NAME or NAME:VERSION published; FILE.keras, FILE.h5, a SavedModel folder, or a "
            "Keras application.",
        ),
    ],
    batch: BatchSizes = "1,2,4,8,16,32,64",
    seconds: Seconds = 1.0,
    repeat: Repeat = None,
    way: Annotated[
        list[str] | None,
        typer.Option(help="Only this way, as the table calls it; may be repeated."),
    ] = None,
    xla: Annotated[  # noqa: FBT002 - a typer flag
        bool,
        typer.Option("--xla", help="Also measure with XLA, which may take minutes to compile."),
    ] = False,
    weights: Weights = "imagenet",
    preprocess: Annotated[
        str,
        typer.Option(
            help="How a source wants its pixels: auto, none, tf, torch, caffe, rescale, or "
            "mean=…,scale=…; as at export."
        ),
    ] = "auto",
    image_side: Annotated[
        int | None,
        typer.Option(
            "--image-size",
            min=1,
            help="Side of the images in pixels, for a source that takes any size.",
        ),
    ] = None,
    base_path: BasePath = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
    json_file: JsonFile = None,
    png: PngFile = None,
) -> None:
    """Measure how fast a model answers: each way to ask it, at each batch size, in turns.

    [bold]Examples[/bold]

      python -m exporter benchmark digits --batch 1,8,32

      python -m exporter benchmark MobileNetV2 --weights none --png mobilenet.png
    """
    settings = load_settings()
    sizes = to_sizes(batch)
    target = find_target(model, base_path or settings.base_path)
    require_folder(json_file, png)
    if png is not None:
        plot.require_matplotlib()

    from exporter.measure.loading import LoadOptions, load
    from exporter.measure.ways import open_ways, select

    options = LoadOptions(
        weights=weights,
        preprocess=None if preprocess == "auto" else preprocessing.parse(preprocess),
        image_size=(image_side, image_side) if image_side else None,
    )
    with reporting(talking_aside(), benchmark.STEPS) as report:
        report.step("loading the model")
        subject = load(target, options, settings, report)
        report.step("preparing each way")
        with open_ways(subject, settings, with_xla=xla) as ways:
            chosen = select(ways, way or [])
            report.step("measuring")
            budget = Budget(seconds, repeat)
            results = benchmark.run(chosen, subject.pixels, sizes, budget, report)
    described: dict[str, Any] = {
        "name": model,
        "height": subject.image.height,
        "width": subject.image.width,
        "parameters": subject.parameters,
        "size_bytes": target.size_bytes,
        "precision": subject.network.precision,
    }
    measured_on = {**machine.describe(), "peak_memory_bytes": memory.highest_bytes()}
    content = benchmark.to_json(described, measured_on, results, ways.missing)
    if json_file:
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if png:
        plot.benchmark_png(results, f"{model} on {measured_on['cpu']}", png)
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    console = Console()
    size = f"{subject.image.height}x{subject.image.width}"
    say(
        console,
        f"{model}: {size}, {subject.parameters} weights",
        *tables.machine_lines(measured_on),
    )
    for table in tables.benchmark_tables(results):
        say(console, "")
        say_table(console, table)
    say(console, *(f"not measured: {name}: {reason}" for name, reason in ways.missing.items()))
