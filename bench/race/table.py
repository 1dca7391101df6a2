"""A run on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.race import rows
from bench.race.figures import Run


def show(run: Run, console: Console) -> None:
    """Every table."""
    for each in rows.tables(run):
        table = Table(title=each.title, title_justify="left", box=None, pad_edge=False)
        for number, name in enumerate(each.head):
            table.add_column(name, justify="right" if number and name else "left")
        for row in each.rows:
            table.add_row(*(_styled(cell) for cell in row))
        console.print(table)
        console.print()


def _styled(cell: str) -> Text:
    if cell.startswith(("missed", "void")):
        return Text(cell, style="red")
    return Text(cell, style="green" if cell == "met" else "")
