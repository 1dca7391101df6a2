"""`inspect`."""

from __future__ import annotations

import json
from typing import Any, Final

import typer
from rich.console import Console

from contract.card import ModelCard
from exporter.cli.output import engine_lines, megabytes, say
from exporter.cli.parameters import LOOK_PANEL, AsJson, BasePath, ModelName, Version
from exporter.errors import RefusedError
from exporter.settings import load_settings
from exporter.store import inventory
from exporter.store.description import describe
from exporter.store.inventory import PublishedVersion

PANEL: Final = LOOK_PANEL
_SHOWN_LABELS: Final = 5


def run(
    name: ModelName,
    version: Version = None,
    base_path: BasePath = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Show one version: its card, signatures and files, and whether the files are unchanged.

    [bold]Example[/bold]

      python -m exporter inspect digits --version 1
    """
    found = inventory.find(base_path or load_settings().base_path, name, version)
    description = describe(found)
    if as_json:
        typer.echo(json.dumps(description, indent=2))
    else:
        say(Console(), *_lines(found, description))
    if description["changes"]:
        raise RefusedError(
            f"{found.path} is not as it was published: {'; '.join(description['changes'])}"
        )


def _lines(found: PublishedVersion, description: dict[str, Any]) -> list[str]:
    size = megabytes(found.size_bytes)
    lines = [f"{found.model_name} version {found.version}  {found.path}  {size}"]
    if found.card:
        lines += _card_lines(found.card)
    for name, ends in description["signatures"].items():
        lines += ["", name]
        lines += [f"  in   {key}: {text}" for key, text in ends["inputs"].items()]
        lines += [f"  out  {key}: {text}" for key, text in ends["outputs"].items()]
    return [*lines, "", _files_line(description)]


def _card_lines(card: ModelCard) -> list[str]:
    image, source = card.image, card.source
    more = " …" if len(card.labels) > _SHOWN_LABELS else ""
    labels = ", ".join(card.labels[:_SHOWN_LABELS]) + more
    lines = [
        f"source       {source.kind} {source.name}, weights {source.weights or 'inside'}",
        f"classes      {len(card.classes)}, {card.task}, top {card.k}: {labels}",
        (
            f"image        {image.height}x{image.width}, {image.fit}, {image.filter}, "
            f"{_sampling(card)}preprocess {card.preprocess}"
        ),
        (
            f"graph        {'frozen' if card.is_frozen else 'with variables'}, {card.precision}"
            f"{', compiled by XLA' if card.is_compiled else ''}"
        ),
    ]
    if lite := card.tflite:
        lines.append(
            f"tflite       {lite.kind}, {megabytes(lite.size_bytes)}, off by "
            f"{lite.max_abs_difference:.1e} (bound {lite.bound:g})"
        )
    if held := card.evaluation:
        error = "" if held.ece is None else f", calibration error {held.ece:.4f}"
        lines.append(
            f"evaluation   top-1 {held.top_1:.4f}, top-5 {held.top_5:.4f}{error} on {held.n} "
            f"images: {held.dataset}"
        )
    if parity := card.parity:
        lines.append(
            f"parity       {parity.max_abs_difference:.1e} on {parity.n} images "
            f"(bound {parity.bound:g})"
        )
    lines += [f"engine       {line}" for line in engine_lines(card)]
    return lines


def _files_line(description: dict[str, Any]) -> str:
    if description["files"] is None:
        return "files        no MANIFEST.json: not exported by us"
    state = "changed since" if description["changes"] else "unchanged"
    return f"files        {len(description['files'])}, {state}"


def _sampling(card: ModelCard) -> str:
    """What is unusual about the pixels."""
    points = "" if card.image.antialias else "no antialias, "
    return points + ("grey, " if card.is_grey else "")
