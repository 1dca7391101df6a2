"""What several commands print."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from contract.card import ModelCard
from exporter.export import Published
from exporter.proof import gate

_NO_BOUND: Final = 1_000_000


def say(console: Console, *lines: str) -> None:
    """Print lines as they are: never wrapped, coloured or read as markup."""
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def say_table(console: Console, table: Table) -> None:
    """Print a table: folded to a terminal, else as wide as it needs, for grep and the like."""
    if not console.is_terminal:
        options = console.options.update(max_width=_NO_BOUND)
        wanted = max(1, Measurement.get(console, options, table).maximum)
        console = Console(file=console.file, width=wanted)
    console.print(table)


def say_published(console: Console, published: Published, *, as_json: bool = False) -> None:
    """Where a new version is, and what it has passed."""
    if as_json:
        typer.echo(json.dumps(_facts(published), indent=2))
        return
    card, parity = published.card, published.card.parity
    say(console, f"published {published.path}: {card.model_name} version {published.version}")
    if parity:
        say(
            console,
            f"parity: {parity.max_abs_difference:.1e} from the source at most, on {parity.n} images"
            f" (bound {parity.bound:g}); of files decoded in the graph"
            f" {parity.encoded_max_abs_difference:.1e}",
        )
    if (held := card.evaluation) is not None:
        say(console, f"accuracy: top-1 {held.top_1:.4f}, top-5 {held.top_5:.4f} on {held.n} images")
    proven = next((line for line in published.lines if line.step == gate.STEP), None)
    if proven:
        say(console, f"model server: {proven.found} (bound {proven.bound})")
    for line in engine_lines(card):
        say(console, line)
    say(console, f"report: {published.path / 'report.html'}")


def engine_lines(card: ModelCard) -> Iterator[str]:
    """What other engines than TensorFlow may serve it in, with the figures."""
    for proof in card.engines:
        others = (
            ""
            if proof.evaluation_n is None
            else f", {proof.evaluation_agreement:.2%} agree of {proof.evaluation_n} other images"
        )
        yield (
            f"{proof.engine} {proof.precision}: {proof.max_abs_difference:.1e} from the source at "
            f"most (bound {proof.bound:g}), {proof.top_1_agreement:.0%} agree of {proof.n} golden "
            f"images{others}"
        )


def _facts(published: Published) -> dict[str, Any]:
    card = published.card
    files = [each for each in published.path.rglob("*") if each.is_file()]
    return {
        "model": card.model_name,
        "version": published.version,
        "path": str(published.path),
        "is_new": True,
        "size_bytes": sum(each.stat().st_size for each in files),
        "parity": card.parity.model_dump(mode="json") if card.parity else None,
        "evaluation": card.evaluation.model_dump(mode="json") if card.evaluation else None,
        "engines": [proof.model_dump(mode="json") for proof in card.engines],
        "report": str(published.path / "report.html"),
        "at": datetime.now(UTC).isoformat(),
    }


def megabytes(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / 1e6:.1f} MB"
