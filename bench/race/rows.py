"""The tables of a run as rows of text, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.race import figures
from bench.race.figures import Run


@dataclass(frozen=True)
class Table:
    """A title, a head and rows."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(run: Run) -> list[Table]:
    """All of a run: ratios first."""
    return [bars(run), throughput(run), loads(run), costs(run), sizes(run), floors(run)]


def bars(run: Run) -> Table:
    """What was promised."""
    rows = [
        [each.name + (f" ({each.note})" if each.note else ""), number(each.value, 2),
         f"{each.sense} {each.bar:g}", each.verdict]
        for each in figures.bars(run)
    ]  # fmt: skip
    return Table("Ratios", ["figure", "measured", "bar", ""], rows)


def throughput(run: Run) -> Table:
    """Closed loops."""
    clients = run["options"]["clients"]
    rows = [
        [
            each["title"],
            *(number(figures.rate(run, each["key"], count), 1) for count in clients),
            number(figures.latency(run, each["key"], "p50", clients=1), 1),
            each["skipped"] or why_void(run, each["key"]),
        ]
        for each in run["contenders"]
    ]
    return Table(
        "Requests per second, by clients",
        ["", *(f"{count}" for count in clients), "p50 ms with 1", ""],
        rows,
    )


def loads(run: Run) -> Table:
    """Open loops."""
    percents = run["options"]["loads"]
    rows = [
        [each["title"], *(_pair(run, each["key"], load) for load in percents)]
        for each in taking_part(run)
    ]
    return Table(
        "Latency in ms at a part of each one's own capacity, p50 / p99",
        ["", *(f"{load} %" for load in percents)],
        rows,
    )


def costs(run: Run) -> Table:
    """CPU and memory."""
    roles = ("gateway", "decode workers", "model server")
    rows = []
    for each in taking_part(run):
        cpu, memory = figures.cpu_ms(run, each["key"]), figures.resident_mb(run, each["key"])
        rows.append([
            each["title"],
            *(number(cpu.get(role), 2) for role in roles),
            number(sum(cpu.values()) or None, 2),
            number(figures.client_cpu_ms(run, each["key"]), 2),
            number(memory.get("gateway"), 0),
            number(memory.get("model server"), 0),
        ])  # fmt: skip
    return Table(
        "CPU in ms a request and memory in MB, 32 clients",
        ["", *roles, "together", "load generator", "gateway MB", "model server MB"],
        rows,
    )


def sizes(run: Run) -> Table:
    """Larger pictures."""
    wanted = run["options"]["sizes"]
    rows = [
        [each["title"], number(figures.rate(run, each["key"]), 1),
         *(number(figures.size_rate(run, each["key"], size), 1) for size in wanted)]
        for each in taking_part(run)
    ]  # fmt: skip
    return Table(
        "Requests per second by size of the pictures, 32 clients", ["", "500x375", *wanted], rows
    )


def floors(run: Run) -> Table:
    """The machine's limit."""
    by_engine: dict[str, list[dict[str, Any]]] = {}
    for each in run["floors"]:
        by_engine.setdefault(each["engine"], []).append(each)
    rows = [
        [engine, str(found[0]["batch"]), number(_mean(e["decode_ms"] for e in found), 2),
         number(_mean(e["model_ms"] for e in found), 2),
         number(figures.floor_rate(run, engine), 1)]
        for engine, found in by_engine.items()
    ]  # fmt: skip
    return Table(
        "The floor: decoding and the model alone, on all cores",
        ["engine", "best batch", "decoding, CPU ms", "model, CPU ms", "requests/s"],
        rows,
    )


def taking_part(run: Run) -> list[dict[str, Any]]:
    """Contenders that were measured."""
    keys = {each["contender"] for each in run["measurements"]}
    return [each for each in run["contenders"] if each["key"] in keys]


def why_void(run: Run, key: str) -> str:
    """Which measurements of a contender count for nothing, and why."""
    found = {
        f"{_where(each)}: {each['void']}"
        for each in run["measurements"]
        if each["contender"] == key and each["void"]
    }
    return "void: " + "; ".join(sorted(found)) if found else ""


def number(value: float | None, digits: int) -> str:
    """A dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def _where(measurement: dict[str, Any]) -> str:
    if measurement["load"]:
        return f"{measurement['load']} % load"
    return f"{measurement['clients']} clients, {measurement['size']}, {measurement['body']}"


def _pair(run: Run, key: str, load: int) -> str:
    p50, p99 = (figures.latency(run, key, each, load=load) for each in ("p50", "p99"))
    return "-" if p50 is None else f"{number(p50, 1)} / {number(p99, 1)}"


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None
