"""Results for people: tables of at most 80 columns, and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from rich.table import Table

from exporter.measure.benchmark import Result
from exporter.measure.comparison import Compared
from exporter.measure.timing import figure

_TIMINGS: Final = ("first", "mean", "std", "p50", "p95", "p99", "/image", "img/s")
_COMPARED: Final = (
    "model", "params", "disk", "memory", "p50", "p95", "img/s", "top-1"
)  # fmt: skip


def machine_lines(machine: Mapping[str, Any]) -> list[str]:
    """What was measured on, in two lines."""
    bfloat16 = "with" if machine["has_bfloat16"] else "without (emulated)"
    versions = ", ".join(
        f"{name} {machine[name] or '?'}" for name in ("tensorflow", "keras", "numpy", "python")
    )
    processor = (
        f"{machine['cpu']}, {machine['cores']} cores, {gigabytes(machine['memory_bytes'])}, "
        f"{bfloat16} bfloat16, load {machine['load_average']:.1f}"
    )
    return [processor, versions]


def benchmark_tables(results: Sequence[Result]) -> Iterator[Table]:
    """One table per batch size; milliseconds, the fastest median in bold."""
    for size, group in groupby(results, key=lambda each: each.batch_size):
        rows = list(group)
        best = min(row.measured.warm.p50_ms for row in rows)
        table = Table(title=f"batch {size}, ms", title_justify="left", box=None, pad_edge=False)
        table.add_column("way", no_wrap=True)
        for name in _TIMINGS:
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            style = "bold" if row.measured.warm.p50_ms == best else None
            table.add_row(row.way, *_timings(row), style=style)
        yield table


def _timings(result: Result) -> list[str]:
    warm = result.measured.warm
    return [
        figure(each)
        for each in (
            result.measured.first_call_ms,
            warm.mean_ms,
            warm.std_ms,
            warm.p50_ms,
            warm.p95_ms,
            warm.p99_ms,
            result.per_image_ms,
            result.images_per_second,
        )
    ]


def comparison_table(rows: Iterable[Compared]) -> Table:
    """One row per model."""
    table = Table(box=None, pad_edge=False)
    for name in _COMPARED:
        justify = "left" if name == "model" else "right"
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]  # a literal of two
    for row in rows:
        table.add_row(*_compared(row))
    return table


def comparison_markdown(rows: Iterable[Compared]) -> str:
    """The same for an issue or a README."""
    lines = [_COMPARED, ["---", *["---:"] * (len(_COMPARED) - 1)], *map(_compared, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _compared(row: Compared) -> list[str]:
    return [
        row.name,
        _count(row.parameters),
        "-" if row.size_bytes is None else megabytes(row.size_bytes),
        "-" if row.memory_bytes is None else megabytes(row.memory_bytes),
        figure(row.latency.p50_ms),
        figure(row.latency.p95_ms),
        f"{figure(row.images_per_second)} @{row.best_batch_size}",
        "-" if row.top_1 is None else f"{row.top_1:.4f}",
    ]


def megabytes(size_bytes: int) -> str:
    """`12.3 MB`."""
    return f"{size_bytes / 1e6:.1f} MB"


def gigabytes(size_bytes: int) -> str:
    """`16.5 GB`."""
    return f"{size_bytes / 1e9:.1f} GB"


def _count(number: int) -> str:
    return f"{number / 1e6:.2f} M" if number >= 10_000 else str(number)  # noqa: PLR2004 - as shown
