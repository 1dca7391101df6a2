"""`label`."""

# ruff: noqa: PLR0913, PLR0917 - one parameter per option

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from exporter.cli.parameters import (
    RELEASE_PANEL,
    AsJson,
    BasePath,
    ConfigFile,
    ModelName,
    TimeoutSeconds,
    WatchedServer,
)
from exporter.cli.quiet import talking_aside
from exporter.cli.release import (
    Outcome,
    entry_of,
    require_versions,
    served_versions,
    visible_folder,
    watching,
)
from exporter.errors import UsageError
from exporter.progress import reporting
from exporter.release import config_file
from exporter.release.moves import Moved, carry_out, write_entry
from exporter.release.plan import Step, label_steps
from exporter.settings import load_settings

PANEL: Final = RELEASE_PANEL

_ASSIGNMENT: Final = re.compile(r"([A-Za-z0-9_.-]+)=([0-9]{0,18})")


def run(
    name: ModelName,
    assignments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LABEL=VERSION", help="stable=3 canary=4; canary= takes the label away."
        ),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(help="Label to take away; may be repeated.")
    ] = None,
    unload: Annotated[
        list[int] | None, typer.Option(help="Take a version without a label out of the policy.")
    ] = None,
    config: ConfigFile = None,
    model_server: WatchedServer = None,
    base_path: BasePath = None,
    keep_loaded: Annotated[  # noqa: FBT002 - a typer flag
        bool, typer.Option("--keep-loaded", help="Keep a version loaded that loses its last label.")
    ] = False,
    at_once: Annotated[  # noqa: FBT002 - a typer flag
        bool,
        typer.Option(
            "--at-once",
            help="One change: for a file that servers read when they start (Kubernetes).",
        ),
    ] = False,
    timeout_seconds: TimeoutSeconds = 180.0,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Set, move and remove version labels in models.config, in an order that loses no request.

    First the policy gets the versions; when they are AVAILABLE, the labels move; then what lost its
    label is unloaded. Without --model-server only the first of these steps is taken.

    [bold]Example[/bold]

      python -m exporter label digits stable=3 canary=4 --model-server http://localhost:8501
    """
    settings = load_settings()
    path = config or settings.models_config
    wanted = {**_assignments(assignments or []), **dict.fromkeys(remove or [])}
    going = frozenset(unload or [])
    console = talking_aside()
    with (
        config_file.locked(path, lambda: _say_waiting(console, path)) as file,
        watching(None if at_once else model_server, name, timeout_seconds) as watch,
    ):
        entry = entry_of(file.read(), name, path)
        steps: list[Step] = []
        if wanted or going:
            folder = visible_folder(entry, name, base_path)
            require_versions(
                folder, frozenset(version for version in wanted.values() if version is not None)
            )
            served = served_versions(entry, folder, watch)
            steps = label_steps(entry, served, wanted, unload=going, keeps_loaded=keep_loaded)
        with reporting(console, len(steps)) as report:
            if at_once and steps:
                write_entry(file, name, steps[-1].entry)
                moved = Moved(tuple(steps), ())
            else:
                moved = carry_out(file, name, steps, wanted, watch, report)
        rest = _next_command(name, moved, wanted)
        outcome = Outcome(file, name, moved, rest, is_question=not (wanted or going))
        outcome.show(as_json=as_json)


def _assignments(texts: list[str]) -> dict[str, int | None]:
    wanted: dict[str, int | None] = {}
    for text in texts:
        match = _ASSIGNMENT.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r}: write LABEL=VERSION such as stable=3, or LABEL= to remove")
        if match[1] in wanted:
            raise UsageError(f"label {match[1]} is given twice")
        wanted[match[1]] = int(match[2]) if match[2] else None
    return wanted


def _next_command(name: str, moved: Moved, wanted: dict[str, int | None]) -> str:
    if moved.pending and moved.pending[0].kind == "unload":
        versions = " ".join(f"--unload {number}" for number in sorted(moved.pending[0].versions))
        return f"label {name} {versions}"
    labels = " ".join(f"{label}={version or ''}" for label, version in wanted.items())
    return f"label {name} {labels}"


def _say_waiting(console: Console, path: Path) -> None:
    console.print(f"another command is changing {path}; waiting", markup=False, highlight=False)
