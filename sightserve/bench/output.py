"""Figures for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def show(result: Mapping[str, Any], console: Console) -> None:
    """Two tables and what they say."""
    console.print(
        f"{result['url']}: {result['images']} pictures, "
        f"{result['mean_request_bytes'] / 1000:.0f} kB a request",
        markup=False,
        soft_wrap=True,
    )
    _loop(console, "closed loop: as fast as answers come", "clients", result["closed_loop"])
    if result["open_loop"]:
        _loop(
            console,
            "open loop: times from when a request was due",
            "load",
            [{**each, "load": f"{each['load_percent']} %"} for each in result["open_loop"]],
        )
    console.print(f"at most {result['capacity_requests_per_second']:.1f} requests/s")


def _loop(console: Console, title: str, by: str, rows: list[dict[str, Any]]) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in (by, "requests/s", "p50 ms", "p90 ms", "p99 ms", "max ms"):
        table.add_column(name, justify="right")
    table.add_column("failed")
    for row in rows:
        latency = row["latency_ms"]
        table.add_row(
            str(row[by]),
            f"{row['requests_per_second']:.1f}",
            *(f"{latency[name]:.1f}" if latency else "-" for name in ("p50", "p90", "p99", "max")),
            failures_text(row["failures"]) or "0",
        )
    console.print(table)


def failures_text(failures: Mapping[str, int]) -> str:
    """Such as "3 HTTP 429, 1 timeout"; empty without any."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(failures.items()))
