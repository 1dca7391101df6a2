"""`tune`."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console

from contract.image_spec import ImageSpec
from exporter.cli.durations import to_milliseconds
from exporter.cli.output import say, say_table
from exporter.cli.parameters import MEASURE_PANEL, AsJson, BasePath, Version
from exporter.cli.quiet import talking_aside
from exporter.errors import RefusedError, UsageError
from exporter.measure import machine as hardware
from exporter.measure import tables
from exporter.progress import Reporter, reporting
from exporter.settings import Settings, load_settings
from exporter.store import inventory
from exporter.store.inventory import PublishedVersion
from exporter.store.version_numbers import split_version
from exporter.tune import files, pictures, report
from exporter.tune.configuration import default
from exporter.tune.gateway_process import require_gateway
from exporter.tune.load import running_load
from exporter.tune.machine import ThisMachine
from exporter.tune.pictures import Pictures
from exporter.tune.proofs import Proof, Standard, proven
from exporter.tune.rows import Ruled
from exporter.tune.search import STEPS, Found, Goal, Search

PANEL: Final = MEASURE_PANEL
_CLIENTS_PER_CORE: Final = 8
_MIN_CLIENTS: Final = 32


def run(  # noqa: PLR0913, PLR0917 - one parameter per option is how typer declares them
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A published model: NAME or NAME:VERSION.")
    ],
    version: Version = None,
    p99: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="What 99 of 100 requests may take, such as 20ms or 0.02s, at 70 % of the load "
            "that the configuration can bear (50 or 30 % where none keeps it at more). "
            "Default: no limit, as many requests as possible.",
        ),
    ] = None,
    min_agreement: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Smallest part of the pictures on which an engine and precision must have the "
            "first class of the source.",
        ),
    ] = 0.995,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Your own photos: agreement is measured on them, too, and the load is made of "
            "them. Default: the golden images of the version alone.",
        ),
    ] = None,
    engine: Annotated[
        Literal["tensorflow", "openvino"] | None,
        typer.Option(help="Try this engine only. Default: both, where the version has both."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(min=1.0, help="How long the whole search should take; starts are included."),
    ] = 180.0,
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the files that it writes.")
    ] = Path("tuned"),
    base_path: BasePath = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Find the fastest safe settings on this machine, and write them.

    Engines, precisions that the version was proven in, threads, batches and calls in flight are
    tried, the best of them through a real gateway. Flags, variables and figures go to DIR.

    Exit code 4: nothing keeps to --p99 (the nearest is named) or to --min-agreement; nothing is
    written then.

    [bold]Examples[/bold]

      python -m exporter tune digits --p99 20ms

      python -m exporter tune mobilenetv2 --p99 50ms --images photos --seconds 240
    """
    settings = load_settings()
    target_ms = None if p99 is None else to_milliseconds("--p99", p99)
    where = base_path or settings.base_path
    found = _published(name, version, where)
    files.require_folder(output)
    require_gateway()
    proofs, ruled_out = proven(found)
    subject = _Subject(found, settings, pictures.load(found.path, _spec(found), images))
    measured_on = hardware.describe()
    cores = measured_on["cores"]
    clients = max(_MIN_CLIENTS, _CLIENTS_PER_CORE * cores)
    goal = Goal(target_ms, seconds, cores=cores, clients=clients)
    with reporting(talking_aside(), STEPS) as reporter:
        if measured_on["load_average"] > cores / 2:
            reporter.note(
                f"this machine is busy (load {measured_on['load_average']:.1f} on {cores} cores): "
                "what is found may be what suits its other work; tune again when it is quiet"
            )
        outcome = _search(subject, goal, _narrowed(proofs, engine), min_agreement, reporter)
    outcome.ruled_out[:0] = _of_engine(ruled_out, engine)
    described = {"name": found.model_name, "version": found.version}
    figures = report.to_json(outcome, goal, described, measured_on)
    if as_json:
        typer.echo(json.dumps(figures, indent=2))
    else:
        console = Console()
        say(console, f"{name}: version {found.version}", *tables.machine_lines(measured_on), "")
        say_table(console, report.table(outcome, target_ms))
        say(console, "", *report.lines(outcome, goal))
    best = outcome.choice.best
    if best is None:
        nearest = outcome.choice.nearest
        why = report.unreachable(nearest, goal) if nearest else "nothing was answered"
        raise RefusedError(why, step="p99")
    files.write(files.contents(best.configuration, output, cores, figures), output)
    if not as_json:
        usage = report.commands(found.model_name, str(where), str(output))
        say(console, "", f"written to {output}; to use it:", *(f"  {line}" for line in usage))


@dataclass(frozen=True, slots=True)
class _Subject:
    version: PublishedVersion
    settings: Settings
    pictures: Pictures


def _search(
    subject: _Subject,
    goal: Goal,
    proofs: Sequence[Proof],
    min_agreement: float,
    reporter: Reporter,
) -> Found:
    asked, version = subject.pictures, subject.version
    with (
        tempfile.TemporaryDirectory(prefix="sightserve-tune-") as folder,
        tempfile.TemporaryDirectory(prefix="sightserve-load-") as load_folder,
        running_load(asked.pixels, asked.sent, Path(load_folder)) as load,
        ThisMachine(
            version, asked.pixels, subject.settings, load, Path(folder), goal.cores
        ) as machine,
    ):
        further = _further(machine, subject) if asked.has_further else None
        standard = Standard(asked.golden, further, min_agreement)
        return Search(machine, goal, time.monotonic, reporter).run(proofs, standard)


def _further(machine: ThisMachine, subject: _Subject) -> npt.NDArray[np.float32]:
    """What the graph itself, on TensorFlow, says about the user's pictures."""
    precision = subject.version.card.precision if subject.version.card else "float32"
    answers = machine.probabilities(default(precision).server)
    return answers[len(subject.pictures.golden) :]


def _published(name: str, version: int | None, base_path: Path) -> PublishedVersion:
    model_name, number = split_version(name)
    if number is not None and version not in {None, number}:
        raise UsageError(f"{name} and --version {version} contradict each other")
    return inventory.find(base_path, model_name, version if number is None else number)


def _spec(found: PublishedVersion) -> ImageSpec:
    if found.card is None:
        raise UsageError(f"{found.path}: no model card in it; export it again")
    return found.card.image


def _narrowed(proofs: Sequence[Proof], engine: str | None) -> list[Proof]:
    wanted = [proof for proof in proofs if engine in {None, proof.engine}]
    if not wanted:
        raise UsageError(f"--engine {engine}: the version was not exported for it")
    return wanted


def _of_engine(ruled_out: Sequence[Ruled], engine: str | None) -> list[Ruled]:
    return [each for each in ruled_out if engine is None or each.what.startswith(engine)]
