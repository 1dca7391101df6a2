"""What `sightserve train` does and prints; the command itself is the distribution's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from exporter.cli.ending import errors_as_lines
from exporter.cli.output import say, say_published, say_table
from exporter.cli.parameters import parse_size
from exporter.options import OpenVino
from exporter.settings import load_settings
from exporter.sources.application_names import spelled
from exporter.sources.source_files import as_name
from exporter.training import train
from exporter.training.options import TrainingOptions
from exporter.training.plan import Plan
from exporter.training.progress import training_reporter

_LISTED = 50


def run_training(
    *,
    folder: Path,
    name: str | None,
    base_path: Path | None,
    application: str | None,
    image_size: str | None,
    is_dry: bool,
    openvino: OpenVino | None,
    **others: Any,
) -> None:
    """Train and publish, or say what would be done; leave with an exit code.

    Args:
        folder: with a folder per class.
        name: the model's; the folder's when None.
        base_path: of the models; the setting's when None.
        application: in any spelling.
        image_size: SIDE or HEIGHTxWIDTH.
        is_dry: whether only to look.
        openvino: the setting's when None.
        others: fields of `TrainingOptions`.
    """
    with errors_as_lines():
        settings = load_settings()
        options = TrainingOptions(
            folder=folder,
            name=as_name(folder.resolve().name) if name is None else name,
            base_path=base_path or settings.base_path,
            application=None if application is None else spelled(application),
            image_size=parse_size(image_size),
            openvino=openvino or settings.openvino,
            **others,
        )
        console = Console()
        if is_dry:
            with training_reporter(console, 1) as report:
                plan = train.dry_run(options, settings, report)
            _say_plan(console, plan, options)
            return
        with training_reporter(console, train.steps(options)) as report:
            published = train.train(options, settings, report)
        say_published(console, published)
        say(console, f"training: {published.path / train.HTML}")
        if options.keras_file:
            say(console, f"Keras model: {options.keras_file}")


def _say_plan(console: Console, plan: Plan, options: TrainingOptions) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("class", overflow="fold")
    for part in ("training", "validation", "test"):
        table.add_column(part, justify="right", no_wrap=True)
    for label, *counts in plan.counts[:_LISTED]:
        table.add_row(Text(label), *map(str, counts))
    say_table(console, table)
    rest = len(plan.labels) - _LISTED
    if rest > 0:
        say(console, f"and {rest} more classes")
    parts = plan.parts
    totals = [len(each) for each in (parts.training, parts.validation, parts.test)]
    say(
        console,
        f"{len(plan.labels)} classes, {sum(totals):,} pictures: {totals[0]:,} to train on, "
        f"{totals[1]:,} to stop by, {totals[2]:,} to measure with",
        *_intentions(plan, options),
        "dry run: nothing was trained or published",
    )


def _intentions(plan: Plan, options: TrainingOptions) -> Iterator[str]:
    size = f"{plan.image.height}x{plan.image.width} pixels, {plan.image.fit}"
    if options.network == "frozen":
        copies = plan.augmented_copies if options.augment else 0
        yield (
            f"would compute features by {options.network_name} ({options.weights} weights, {size})"
            f" of each picture and {copies} augmented copies of it,"
        )
        yield f"train a head on them{', fine-tune' if options.fine_tune else ''},"
    else:
        yield f"would train the whole {options.network_name} from random weights ({size}),"
    yield f"measure it, prove it and publish it in {options.base_path / options.name}"
