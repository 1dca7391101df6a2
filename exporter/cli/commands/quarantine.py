"""`quarantine`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from exporter.cli.output import say
from exporter.cli.parameters import RELEASE_PANEL, AsJson, BasePath, ConfigFile, ModelName
from exporter.cli.quiet import talking
from exporter.errors import UsageError
from exporter.release import config_file, models_config
from exporter.settings import load_settings
from exporter.store import publish, version_numbers

PANEL: Final = RELEASE_PANEL


def run(
    name: ModelName,
    version: Annotated[int, typer.Argument(help="The number that `list` shows for it.")],
    back: Annotated[  # noqa: FBT002 - a typer flag
        bool, typer.Option("--back", help="Make a hidden version visible again.")
    ] = False,
    even_the_last: Annotated[  # noqa: FBT002 - a typer flag
        bool,
        typer.Option("--even-the-last", help="Do it even if no version is left to serve then."),
    ] = False,
    config: ConfigFile = None,
    base_path: BasePath = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Hide a version that does not load from model servers, and keep it to look at.

    A running model server serves on beside a broken version; one that starts while it lies there
    does not come up. The folder gets a name that is no number, by one rename; if the version was
    served after all, the one below it is loaded first. Its number is not used again.

    [bold]Example[/bold]

      python -m exporter quarantine digits 7
    """
    settings = load_settings()
    model_path = (base_path or settings.base_path) / name
    if back:
        _require_known(
            model_path, version, version_numbers.quarantined(model_path), "in quarantine"
        )
        path = publish.release(model_path, version)
    else:
        existing = version_numbers.versions(model_path)
        _require_known(model_path, version, existing, "there")
        _require_unnamed(config or settings.models_config, name, version)
        if existing == [version] and not even_the_last:
            raise UsageError(
                f"{version} is the last version of {name}: without it there is nothing to serve; "
                "publish another one first, or say --even-the-last"
            )
        path = publish.quarantine(model_path, version)
    left = version_numbers.versions(model_path)
    if as_json:
        facts = {
            "model": name,
            "version": version,
            "path": str(path),
            "versions": left,
            "quarantined": version_numbers.quarantined(model_path),
            "at": datetime.now(UTC).isoformat(),
        }
        typer.echo(json.dumps(facts, indent=2))
    else:
        seen = ", ".join(map(str, left)) or "none"
        say(talking(), f"{name}: version {version} is now {path}; model servers see: {seen}")


def _require_known(model_path: Path, version: int, numbers: list[int], where: str) -> None:
    """Before the lock, which would make the folder of a model that does not exist."""
    if version not in numbers:
        listed = ", ".join(map(str, numbers)) or "none"
        raise UsageError(f"{model_path.name} has no version {version}; {where}: {listed}")


def _require_unnamed(path: Path, name: str, version: int) -> None:
    """A model server refuses a file whose label or policy names a version that is not there."""
    text = config_file.read(path)
    entry = None if text is None else models_config.find(text, name)
    if entry is None:
        return
    is_pinned = entry.policy.kind == "specific" and version in entry.policy.versions
    if is_pinned or version in entry.labels.values():
        raise UsageError(
            f"{path} names version {version} of {name} ({entry.policy}); "
            f"first: python -m exporter rollback {name}"
        )
