"""`diff`."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from exporter.accuracy.agreement import (
    Agreement,
    Changed,
    VersionAnswers,
    ask_all,
    compare,
    pictures,
    shown,
)
from exporter.accuracy.versions import Subject, answering, parse, require_known
from exporter.cli.output import say
from exporter.cli.parameters import RELEASE_PANEL, ApiKey, AsJson, BasePath
from exporter.cli.quiet import talking_aside
from exporter.errors import FailedError, RefusedError, UsageError
from exporter.progress import reporting
from exporter.report import agreement_page
from exporter.settings import load_settings

PANEL: Final = RELEASE_PANEL

_TWO: Final = 3
_ONE_NAME: Final = 4
_SHOWN: Final = 10


def run(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="A B DIR",
            help="NAME:3 NAME:4 DIR, or NAME 3 4 DIR; URL/NAME:3 for one that is served.",
        ),
    ],
    html: Annotated[
        Path | None, typer.Option(help="Write a page with the pictures called differently.")
    ] = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Refuse (exit 4) below this part of equal labels."),
    ] = None,
    base_path: BasePath = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,  # noqa: FBT002 - a typer flag
) -> None:
    """Ask two versions about a folder of pictures: how far they agree, and where they do not.

    Versions on disk are served by a model server of their own, one after the other; URLs name
    versions that are served: grpc://host:8500/NAME:canary, http://gateway:8000/NAME:4. A gateway
    tells the most probable classes only, so differences are over those.

    [bold]Example[/bold]

      python -m exporter diff digits 3 4 photos/ --html diff.html
    """
    settings = load_settings()
    a, b, folder = _subjects(targets)
    files = pictures(folder)
    _require_writable(html)
    path = base_path or settings.base_path
    for subject in (a, b):
        require_known(subject, path)
    answers = []
    with reporting(talking_aside(), 2) as report:
        for subject in (a, b):
            report.step(f"asking {subject.text}")
            with answering(
                subject, path, settings, api_key=api_key, is_asked_for_all=True
            ) as version:
                answers.append(ask_all(version, files, report))
    first, second = answers
    agreement = compare(first, second, files)
    at = datetime.now(UTC)
    if html:
        text = agreement_page.page(first, second, agreement, folder, at)
        html.write_text(text, encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(_as_json(first, second, agreement, folder, at), indent=2))
    else:
        say(Console(), *_lines(agreement, folder, html))
    if min_agreement is not None and agreement.top_1_agreement < min_agreement:
        raise RefusedError(
            f"the versions agree on {agreement.top_1_agreement:.2%} of {agreement.n} pictures, "
            f"wanted are {min_agreement:.2%}",
            step="agreement",
        )


def _subjects(targets: list[str]) -> tuple[Subject, Subject, Path]:
    match targets:
        case [name, one, other, folder] if len(targets) == _ONE_NAME and ":" not in name:
            return parse(f"{name}:{one}"), parse(f"{name}:{other}"), Path(folder)
        case [one, other, folder] if len(targets) == _TWO:
            return parse(one), parse(other), Path(folder)
        case _:
            raise UsageError("write: diff NAME 3 4 DIR, or diff NAME:3 OTHER:1 DIR")


def _require_writable(html: Path | None) -> None:
    """Before minutes of work are lost."""
    if html is not None and not html.parent.is_dir():
        raise FailedError(f"--html {html}: there is no folder {html.parent}")


def _lines(agreement: Agreement, folder: Path, html: Path | None) -> list[str]:
    lines = [
        (
            f"same label: {agreement.agreeing} of {agreement.n} pictures "
            f"({agreement.top_1_agreement:.2%})"
        ),
        (
            f"probabilities differ by {agreement.mean_abs_difference:.2g} on average, "
            f"{agreement.max_abs_difference:.2g} at most"
        ),
    ]
    lines += [_changed_line(each, folder) for each in agreement.changed[:_SHOWN]]
    if (more := len(agreement.changed) - _SHOWN) > 0:
        lines.append(f"  … and {more} more{'' if html else ' (--html FILE shows them)'}")
    if agreement.broken:
        named = ", ".join(shown(path, folder) for path in agreement.broken[:_SHOWN])
        lines.append(f"{len(agreement.broken)} files are no images: {named}")
    return lines


def _changed_line(changed: Changed, folder: Path) -> str:
    a, b = changed.a, changed.b
    return (
        f"  {shown(changed.file, folder)}: {a.label} {a.probability:.3f}"
        f" -> {b.label} {b.probability:.3f}"
    )


def _as_json(
    a: VersionAnswers, b: VersionAnswers, agreement: Agreement, folder: Path, at: datetime
) -> dict[str, Any]:
    return {
        "a": {"model": a.name, "version": a.version},
        "b": {"model": b.name, "version": b.version},
        "folder": str(folder),
        "n": agreement.n,
        "top_1_agreement": agreement.top_1_agreement,
        "max_abs_difference": agreement.max_abs_difference,
        "mean_abs_difference": agreement.mean_abs_difference,
        "changed": [
            {
                "file": shown(each.file, folder),
                "size_bytes": each.file.stat().st_size,
                "a": asdict(each.a),
                "b": asdict(each.b),
            }
            for each in agreement.changed
        ],
        "broken": [shown(path, folder) for path in agreement.broken],
        "labels_only_in_a": agreement.labels_only_in_a,
        "labels_only_in_b": agreement.labels_only_in_b,
        "at": at.isoformat(),
    }
