"""`rollback`."""

# ruff: noqa: PLR0913, PLR0917 - one parameter per option

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from exporter.cli.output import say
from exporter.cli.parameters import (
    RELEASE_PANEL,
    AsJson,
    BasePath,
    ConfigFile,
    ModelName,
    TimeoutSeconds,
    WatchedServer,
)
from exporter.cli.quiet import talking, talking_aside
from exporter.cli.release import entry_of, served_versions, visible_folder, watching
from exporter.errors import UsageError
from exporter.progress import Reporter, reporting
from exporter.release import config_file, models_config
from exporter.release.rollback import (
    Governed,
    RolledBack,
    by_label,
    by_policy,
    by_republishing,
    unpin,
    way_of,
)
from exporter.release.watch import Watch
from exporter.settings import load_settings

PANEL: Final = RELEASE_PANEL

_LATEST: Final = "latest"
_STEPS: Final = 3


def run(
    name: ModelName,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="Version to serve; default: the one before; `latest` ends a pin.",
        ),
    ] = None,
    config: ConfigFile = None,
    model_server: WatchedServer = None,
    base_path: BasePath = None,
    pin: Annotated[  # noqa: FBT002 - a typer flag
        bool,
        typer.Option("--pin", help="By the config file, even if its policy is `latest` so far."),
    ] = False,
    timeout_seconds: TimeoutSeconds = 180.0,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Go back to the version before, or to another one, without losing a request.

    Where models.config has a label stable, it moves; where it names versions, those above go. Where
    the highest number is served, the old version is published again under the next number (hard
    links: no room, no new proof), and what was wrong stays for whoever looks for the reason.

    [bold]Example[/bold]

      python -m exporter rollback digits --model-server http://localhost:8501
    """
    settings = load_settings()
    path = config or settings.models_config
    number = None if to in {None, _LATEST} else _number(str(to))
    text = config_file.read(path)
    entry = None if text is None else models_config.find(text, name)
    if entry is None and (config or pin or to == _LATEST):
        entry_of(text or "", name, path)  # refuses
    way = "unpin" if to == _LATEST else way_of(entry, pins=pin)
    console = talking_aside()
    with (
        watching(model_server, name, timeout_seconds) as watch,
        reporting(console, _STEPS) as report,
    ):
        if way == "republish":
            folder = (base_path or settings.base_path) / name
            facts = _facts(by_republishing(folder, number, watch, report))
        else:
            facts = _by_config(path, name, way, base_path, number, watch, report)
    facts = {"model": name, **facts, "at": datetime.now(UTC).isoformat()}
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        say(talking(), *_lines(facts))


def _by_config(
    path: Path,
    name: str,
    way: str,
    base_path: Path | None,
    to: int | None,
    watch: Watch | None,
    report: Reporter,
) -> dict[str, Any]:
    with config_file.locked(
        path, lambda: report.note(f"another command is changing {path}")
    ) as file:
        entry = entry_of(file.read(), name, path)
        if way == "unpin":
            unpin(file, name, entry)
            return {"way": way, "config": str(path), "is_complete": True, "pending": []}
        folder = visible_folder(entry, name, base_path)
        served = served_versions(entry, folder, watch)
        model = Governed(file, name, entry, folder, served)
        done = (by_label if way == "label" else by_policy)(model, to, watch, report)
    return {**_facts(done), "config": str(path)}


def _facts(done: RolledBack) -> dict[str, Any]:
    return {
        "way": done.way,
        "from": done.current,
        "to": done.target,
        "version": done.version,
        "is_complete": not done.pending,
        "pending": [str(step) for step in done.pending],
    }


def _lines(facts: dict[str, Any]) -> list[str]:
    name = facts["model"]
    if facts["way"] == "unpin":
        return [f"{name}: the highest version is served again, and each that is published"]
    lines = [f"{name}: back from version {facts['from']} to {facts['to']}"]
    if facts["way"] == "republish":
        lines[0] += f", published again as {facts['version']}"
    if facts["way"] == "policy":
        lines.append(
            f"{facts['config']} pins it: what is published from now on is not served until "
            f"rollback {name} --to latest"
        )
    if facts["pending"]:
        lines.append(
            f"not yet: {'; then '.join(facts['pending'])}; run it again with --model-server URL, "
            f"or go on when it is AVAILABLE: rollback {name} --to {facts['to']}"
        )
    return lines


def _number(to: str) -> int:
    if not to.isascii() or not to.isdigit():
        raise UsageError(f"--to {to!r}: write a version's number, or latest")
    return int(to)
