"""`prune`."""

# ruff: noqa: PLR0913, PLR0917 - one parameter per option

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from exporter.cli.output import megabytes, say
from exporter.cli.parameters import (
    RELEASE_PANEL,
    AsJson,
    BasePath,
    ConfigFile,
    ModelName,
)
from exporter.cli.quiet import talking
from exporter.errors import FailedError, UsageError, first_line
from exporter.proof.model_server import connect
from exporter.release import config_file, models_config
from exporter.release.models_config import Entry
from exporter.release.prune import Pruning, plan
from exporter.settings import load_settings
from exporter.store import inventory, publish, version_numbers
from protocol.client import CallError, ProtocolError
from protocol.codes import Code
from protocol.models import VersionStatus

PANEL: Final = RELEASE_PANEL

_STATUS_TIMEOUT_SECONDS: Final = 5.0


def run(
    name: ModelName,
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest stay in any case.")],
    config: ConfigFile = None,
    model_server: Annotated[
        list[str] | None,
        typer.Option(help="Keep what http://host:8501 or grpc://host:8500 serves; repeatable."),
    ] = None,
    base_path: BasePath = None,
    dry_run: Annotated[  # noqa: FBT002 - a typer flag
        bool, typer.Option("--dry-run", help="Only say which versions would go.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking first.")] = False,  # noqa: FBT002 - a typer flag
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Delete old versions: never the newest, one with a label, or one that is served.

    Labels and pins are read from models.config, where it names the model. Each version disappears
    by one rename before it is deleted: no model server sees half of one.

    [bold]Example[/bold]

      python -m exporter prune digits --keep 3 --model-server http://localhost:8501 --dry-run
    """
    settings = load_settings()
    model_path = (base_path or settings.base_path) / name
    existing = version_numbers.versions(model_path)
    if not existing:
        raise UsageError(f"there is no version of {name!r} below {model_path.parent}")
    entry = _entry(config or settings.models_config, name, is_named=config is not None)
    statuses = [status for url in model_server or [] for status in _statuses(url, name)]
    pruning = plan(existing, keep, entry=entry, statuses=statuses)
    rows = [_row(model_path, number, pruning) for number in reversed(existing)]
    is_meant = not dry_run and bool(pruning.removed)
    if not as_json:
        say(talking(), *map(_line, rows))
    if is_meant and not yes:
        _require_consent(name, pruning)
    if is_meant:
        for number in reversed(pruning.removed):
            publish.remove(model_path, number)
    if as_json:
        facts = {
            "model": name,
            "versions": rows,
            "removed": list(pruning.removed) if is_meant else [],
            "removed_bytes": sum(
                row["size_bytes"] for row in rows if row["kept"] is None and is_meant
            ),
            "is_dry_run": dry_run,
            "at": datetime.now(UTC).isoformat(),
        }
        typer.echo(json.dumps(facts, indent=2))
    elif not pruning.removed:
        say(talking(), "nothing to delete")
    elif is_meant:
        say(talking(), f"deleted {len(pruning.removed)} of {len(existing)}")


def _entry(path: Path, name: str, *, is_named: bool) -> Entry | None:
    text = config_file.read(path)
    if text is None and is_named:
        raise UsageError(f"there is no {path}")
    return None if text is None else models_config.find(text, name)


def _statuses(url: str, name: str) -> list[VersionStatus]:
    """What is served there; nothing if the server does not know the model.

    Raises:
        FailedError: it cannot be asked: then nothing may be deleted.
    """
    with connect(url, _STATUS_TIMEOUT_SECONDS) as client:
        try:
            return client.statuses(name)
        except CallError as error:
            if error.code is Code.NOT_FOUND:
                return []
            raise _unanswered(url, error) from error
        except ProtocolError as error:
            raise _unanswered(url, error) from error


def _unanswered(url: str, error: Exception) -> FailedError:
    return FailedError(
        f"what {url} serves cannot be asked, so nothing is deleted: {first_line(error)}"
    )


def _row(model_path: Path, number: int, pruning: Pruning) -> dict[str, Any]:
    found = inventory.find(model_path.parent, model_path.name, number)
    return {
        "version": number,
        "path": str(found.path),
        "size_bytes": found.size_bytes,
        "exported_at": found.card.exported_at.isoformat() if found.card else None,
        "kept": pruning.kept.get(number),
    }


def _line(row: dict[str, Any]) -> str:
    fate = f"stays: {row['kept']}" if row["kept"] else "goes"
    return f"{row['version']:>6}  {megabytes(row['size_bytes']):>10}  {fate}"


def _require_consent(name: str, pruning: Pruning) -> None:
    numbers = ", ".join(map(str, pruning.removed))
    if not sys.stdin.isatty():
        raise UsageError(f"would delete version {numbers} of {name}: say --yes, or --dry-run")
    if not typer.confirm(f"delete version {numbers} of {name} for good?", err=True):
        raise UsageError("nothing was deleted")
