"""What a script says at the end: a table of claims, the figures in a file, the exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

MEGABYTE = 1_000_000
_LONG = 30


@dataclass(frozen=True)
class Check:
    """One claim with its figure."""

    name: str
    measured: float | str
    wanted: str
    is_met: bool


def at_most(name: str, measured: float, limit: float, unit: str = "") -> Check:
    return Check(name, round(measured, 3), f"<= {limit:g} {unit}".strip(), measured <= limit)


def at_least(name: str, measured: float, limit: float, unit: str = "") -> Check:
    return Check(name, round(measured, 3), f">= {limit:g} {unit}".strip(), measured >= limit)


def exactly(name: str, measured: float | str, wanted: float | str) -> Check:
    return Check(name, measured, str(wanted), measured == wanted)


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns as wide as their widest cell, in Markdown."""
    cells = [list(titles), *([_cell(each) for each in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 100 else str(value)


def conclude(
    checks: Sequence[Check], figures: Mapping[str, Any], json_file: Path | None
) -> NoReturn:
    """Print the verdict, write the figures, exit with 1 if a bar is missed."""
    rows = [
        (each.name, each.measured, each.wanted, "met" if each.is_met else "MISSED")
        for each in checks
    ]
    missed = [row for row, each in zip(rows, checks, strict=True) if not each.is_met]
    shown = rows if len(rows) <= _LONG else missed
    if shown:
        print(table(("what", "measured", "wanted", "verdict"), shown))
    print(f"{len(rows) - len(missed)} of {len(rows)} bars met", flush=True)
    if json_file is not None:
        text = json.dumps({"checks": rows, **figures}, indent=1, default=str)
        json_file.write_text(text + "\n")
    sys.exit(bool(missed))
