"""`list`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from exporter.cli.output import megabytes, say_table
from exporter.cli.parameters import LOOK_PANEL, AsJson, BasePath
from exporter.errors import FailedError, first_line
from exporter.proof.model_server import connect
from exporter.settings import load_settings
from exporter.store import inventory
from exporter.store.inventory import PublishedVersion
from protocol.blocking import BlockingClient
from protocol.client import CallError, ProtocolError
from protocol.codes import Code
from protocol.models import VersionStatus

PANEL: Final = LOOK_PANEL
_STATUS_TIMEOUT_SECONDS: Final = 5.0
_HEADINGS: Final = {"size_bytes": "size", "top_1": "top-1", "exported_at": "exported"}


def run(
    base_path: BasePath = None,
    model_server: Annotated[
        str | None,
        typer.Option(help="Also ask http://host:8501 or grpc://host:8500 which are served."),
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """List every published version: size, classes, accuracy, OpenVINO, source and day of export.

    [bold]Example[/bold]

      python -m exporter list --model-server http://localhost:8501
    """
    models = base_path or load_settings().base_path
    rows = [_row(found) for found in inventory.scan(models)]
    if model_server:
        states = _states(model_server, {row["model"] for row in rows})
        for row in rows:
            row["state"] = states.get((row["model"], row["version"]), "not served")
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    elif rows:
        say_table(Console(), table_of(rows))
    else:
        typer.echo(f"nothing is published in {models.resolve()} yet: try python -m exporter demo")


def _row(found: PublishedVersion) -> dict[str, Any]:
    card = found.card
    return {
        "model": found.model_name,
        "version": found.version,
        "size_bytes": found.size_bytes,
        "classes": len(card.classes) if card else None,
        "top_1": round(card.evaluation.top_1, 4) if card and card.evaluation else None,
        "openvino": [proof.precision for proof in card.engines] if card else [],
        "source": card.source.name if card else None,
        "exported_at": card.exported_at.astimezone(UTC).isoformat() if card else None,
    }


def table_of(rows: list[dict[str, Any]]) -> Table:
    """One row per version: what is narrow stays whole, names are folded and never cut."""
    table = Table(box=None, pad_edge=False)
    for key in rows[0]:
        table.add_column(_HEADINGS.get(key, key), overflow="fold", no_wrap=key == "version")
    for row in rows:
        table.add_row(*(Text(_cell(key, value)) for key, value in row.items()))
    return table


def _cell(key: str, value: Any) -> str:
    if value is None or value == []:
        return "-"
    if isinstance(value, list):
        return ", ".join(value)
    if key == "size_bytes":
        return megabytes(value)
    return str(value)[:10] if key == "exported_at" else str(value)


def _states(url: str, model_names: Iterable[str]) -> dict[tuple[str, int], str]:
    """State by model name and version, for example {("digits", 2): "AVAILABLE"}.

    Raises:
        UsageError: the URL is none.
        FailedError: no model server answers there.
    """
    with connect(url, _STATUS_TIMEOUT_SECONDS) as client:
        try:
            return {
                (name, status.version): status.state.name
                for name in model_names
                for status in _statuses(client, name)
            }
        except ProtocolError as error:
            raise FailedError(f"no model server answers at {url}: {first_line(error)}") from error


def _statuses(client: BlockingClient, model_name: str) -> list[VersionStatus]:
    """None for a model that the server does not know."""
    try:
        return client.statuses(model_name)
    except CallError as error:
        if error.code is Code.NOT_FOUND:
            return []
        raise
