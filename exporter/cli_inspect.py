"""The commands that look at what is published: `list`, `inspect`, `verify`."""

# ruff: noqa: PLC0415 - as in cli: what needs TensorFlow is imported when it is needed

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from exporter import inventory
from exporter.errors import FailedError, RefusedError
from exporter.settings import load_settings

if TYPE_CHECKING:
    from exporter.inventory import PublishedVersion

_PANEL = "Look"
_WIDE = 200

BasePath = Annotated[
    Path | None,
    typer.Option(help="Folder of the models; default: EXPORTER_BASE_PATH or models."),
]
ModelName = Annotated[str, typer.Argument(help="The model's name: its folder below the base path.")]
Version = Annotated[int | None, typer.Option(help="Which version; default: the highest.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("list", rich_help_panel=_PANEL)(list_versions)
    app.command("inspect", rich_help_panel=_PANEL)(inspect)
    app.command("verify", rich_help_panel=_PANEL)(verify)


def list_versions(
    base_path: BasePath = None,
    model_server: Annotated[
        str | None,
        typer.Option(help="Also ask http://host:8501 or grpc://host:8500 which are served."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,  # noqa: FBT002 - a typer flag
) -> None:
    """List every published version."""
    rows = [_row(found) for found in inventory.scan(base_path or load_settings().base_path)]
    if model_server:
        _add_states(rows, model_server)
    console = _console()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    columns = ["model", "version", "size", "classes", "top-1", "source", "exported"]
    if model_server:
        columns.append("state")
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    console.print(table if rows else "nothing is published yet: try python -m exporter demo")


def inspect(
    name: ModelName,
    version: Version = None,
    base_path: BasePath = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Show one version: its card, signatures and files, and whether the files are unchanged."""
    found = inventory.find(base_path or load_settings().base_path, name, version)
    from exporter.description import describe

    description = describe(found)
    if as_json:
        typer.echo(json.dumps(description, indent=2))
    else:
        _print_description(_console(), found, description)
    if description["changes"]:
        raise RefusedError(
            f"{found.path} is not as it was published: {'; '.join(description['changes'])}"
        )


def verify(
    name: ModelName,
    model_server: Annotated[
        str, typer.Option(help="grpc://host:8500 or http://host:8501.")
    ] = "grpc://localhost:8500",
    version: Version = None,
    base_path: BasePath = None,
    bound: Annotated[
        float | None, typer.Option(help="Largest difference of a probability; as at export.")
    ] = None,
) -> None:
    """Ask a running model server for the golden images and compare with the answers at export.

    [bold]Example[/bold]

      python -m exporter verify digits --model-server http://localhost:8501
    """
    settings = load_settings()
    found = inventory.find(base_path or settings.base_path, name, version)
    from exporter import goldens
    from exporter.client import connect
    from exporter.replay import replay

    kept = goldens.read(found.path)
    if found.card is None:
        raise FailedError(f"{found.path}: no model card in it; export it again")
    allowed = bound or (found.card.parity.bound if found.card.parity else settings.parity_bound)
    console = _console()
    with connect(model_server, name, found.version, settings.request_timeout_seconds) as client:
        for check in replay(client, kept, found.card, allowed):
            console.print(
                f"{check.signature}: {check.images} asked over {check.protocol}, off by "
                f"{check.max_abs_difference:.1e} at most",
                markup=False,
                highlight=False,
            )
    console.print(f"{name} version {found.version}: as at export", markup=False, highlight=False)


def _console() -> Console:
    """Not a terminal: wide enough that no column is cut, for grep and the like."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)


def _row(found: PublishedVersion) -> dict[str, Any]:
    card = found.card
    return {
        "model": found.model_name,
        "version": found.version,
        "size": f"{found.size_bytes / 1e6:.1f} MB",
        "classes": len(card.classes) if card else None,
        "top-1": round(card.evaluation.top_1, 4) if card and card.evaluation else None,
        "source": card.source.name if card else None,
        "exported": card.exported_at.strftime("%Y-%m-%d %H:%M") if card else None,
    }


def _add_states(rows: list[dict[str, Any]], model_server: str) -> None:
    from exporter.status import states

    known = {name: states(model_server, name) for name in {row["model"] for row in rows}}
    for row in rows:
        row["state"] = known[row["model"]].get(row["version"], "not served")


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _print_description(
    console: Console, found: PublishedVersion, description: dict[str, Any]
) -> None:
    lines = [f"{found.model_name} version {found.version}  {found.path}  {_row(found)['size']}"]
    card = found.card
    if card:
        image, source = card.image, card.source
        labels = ", ".join(card.labels[:5]) + (" …" if len(card.labels) > 5 else "")  # noqa: PLR2004
        lines += [
            f"source       {source.kind} {source.name}, weights {source.weights or 'inside'}",
            f"classes      {len(card.classes)}, {card.task}, top {card.k}: {labels}",
            (
                f"image        {image.height}x{image.width}, {image.fit}, {image.filter}, "
                f"preprocess {card.preprocess}"
            ),
            f"graph        {'frozen' if card.is_frozen else 'with variables'}, {card.precision}",
        ]
        if card.evaluation:
            held = card.evaluation
            lines.append(f"evaluation   top-1 {held.top_1:.4f} of {held.n}: {held.dataset}")
        if card.parity:
            parity = card.parity
            lines.append(
                f"parity       {parity.max_abs_difference:.1e} on {parity.n} images "
                f"(bound {parity.bound:g})"
            )
    for name, ends in description["signatures"].items():
        lines += ["", name]
        lines += [f"  in   {key}: {text}" for key, text in ends["inputs"].items()]
        lines += [f"  out  {key}: {text}" for key, text in ends["outputs"].items()]
    lines += ["", _files_line(description)]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _files_line(description: dict[str, Any]) -> str:
    if description["files"] is None:
        return "files        no MANIFEST.json: not exported by us"
    state = "changed since" if description["changes"] else "unchanged"
    return f"files        {len(description['files'])}, {state}"
