"""Findings for people, at most 80 columns on a terminal, and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sightserve.doctor.report import Finding

_STYLES: Final = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Facts by stable names."""
    return {
        "at": datetime.now(UTC).isoformat(),
        "problems": _count(findings, "problem"),
        "warnings": _count(findings, "warning"),
        "findings": [
            {"check": each.check, "level": each.level, "found": each.found, "fix": each.fix}
            for each in findings
        ],
    }


def show(findings: Sequence[Finding], console: Console) -> None:
    """A table on a terminal, one line a finding anywhere else, and the sum."""
    if console.is_terminal:
        console.print(_table(findings))
    else:
        for each in findings:
            fix = f" -> {each.fix}" if each.fix else ""
            line = f"{each.level}: {each.check}: {each.found}{fix}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    problems, warnings = _count(findings, "problem"), _count(findings, "warning")
    console.print(f"problems: {problems}, warnings: {warnings}", highlight=False)


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in findings:
        text = Text(each.found)
        if each.fix:
            text.append(f"\n-> {each.fix}", style="bold")
        table.add_row(Text(each.level, style=_STYLES[each.level]), each.check, text)
    return table


def _count(findings: Sequence[Finding], level: str) -> int:
    return sum(each.level == level for each in findings)
