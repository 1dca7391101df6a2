"""A search for people and for programs: the table, why, and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, Final

from rich.table import Table

from exporter.measure.timing import figure
from exporter.tune.configuration import Configuration
from exporter.tune.rows import Row, Sample, best_served, by_speed, verdict
from exporter.tune.search import Found, Goal

SCHEMA_VERSION: Final = 1
_SHOWN: Final = 12
_COLUMNS: Final = (
    "engine", "threads", "batching", "batch", "calls", "img/s", "call p99", "req/s", "at",
    "p99", "verdict",
)  # fmt: skip
_TEXTS: Final = frozenset({"engine", "threads", "verdict"})


def ordered(found: Found, target_ms: float | None) -> list[Row]:
    """The chosen one first, then what went through a gateway, then the rest by speed."""
    whole = best_served(found.rows, len(found.rows), target_ms)
    if found.choice.best is not None:
        whole = [found.choice.best, *(row for row in whole if row is not found.choice.best)]
    known = {id(row) for row in whole}
    rest = [row for row in by_speed(found.rows, target_ms) if id(row) not in known]
    return [*whole, *rest]


def table(found: Found, target_ms: float | None) -> Table:
    """The best rows; all of them are in the JSON."""
    shown = Table(box=None, pad_edge=False, collapse_padding=True)
    for name in _COLUMNS:
        justify = "left" if name in _TEXTS else "right"
        shown.add_column(name, justify=justify, no_wrap=name != "verdict", overflow="fold")  # type: ignore[arg-type]  # a literal of two
    for row in ordered(found, target_ms)[:_SHOWN]:
        style = "bold" if row is found.choice.best else None
        said = verdict(row, found.choice, target_ms, _fastest(found))
        shown.add_row(*_cells(row), said, style=style)
    return shown


def _fastest(found: Found) -> float:
    return max(row.images_per_second for row in found.rows)


def _cells(row: Row) -> Iterator[str]:
    way, server = row.configuration, row.configuration.server
    yield f"{server.engine} {server.precision}"
    yield server.threads_text
    yield str(server.server_batch_size or "-")
    yield str(way.batch_size)
    yield str(way.in_flight)
    yield figure(row.images_per_second) if row.calls.n else "-"
    yield _finite(row.call_p99_ms) if row.calls.n else "-"
    yield figure(row.capacity.rate) if row.is_measured_whole else "-"
    yield f"{row.share:.0%}" if row.is_measured_whole else "-"
    yield _finite(row.p99_ms) if row.is_measured_whole else "-"


def _finite(value: float) -> str:
    return "refused" if math.isinf(value) else figure(value)


def lines(found: Found, goal: Goal) -> Iterator[str]:
    """What was chosen, how much it brings, and what was ruled out by what."""
    best = found.choice.best
    if best is not None:
        yield f"chosen: {best.configuration}"
        yield (
            f"  up to {figure(best.capacity.rate)} requests/s; at {best.share:.0%} of them p50 "
            f"{figure(best.offered.percentile_ms(50))} ms, p99 {figure(best.p99_ms)} ms "
            f"({best.offered.n} requests)"
        )
        yield from _against_default(best, found.default)
    elif found.choice.nearest is not None:
        yield unreachable(found.choice.nearest, goal)
    yield from (f"ruled out: {each.what}: {each.why}" for each in found.ruled_out)
    hidden = len(found.rows) - _SHOWN
    if hidden > 0:
        yield f"{hidden} more rows are in the JSON"


def _against_default(best: Row, default: Row | None) -> Iterator[str]:
    if default is best:
        yield "  these are the defaults: nothing that was tried is faster within the target"
    elif default is not None and default.is_measured_whole:
        gain = best.capacity.rate / default.capacity.rate
        yield (
            f"  {gain:.2f} x the untuned settings: {figure(default.capacity.rate)} requests/s, "
            f"p99 {_finite(default.p99_ms)} ms at {default.share:.0%}"
        )


def unreachable(nearest: Row, goal: Goal) -> str:
    """One line for a target that nothing keeps."""
    return (
        f"no configuration keeps p99 within {figure(goal.target_ms or 0)} ms on this machine; "
        f"nearest: {_finite(nearest.p99_ms)} ms at {nearest.share:.0%} of "
        f"{figure(nearest.capacity.rate)} requests/s with {nearest.configuration}"
    )


def to_json(
    found: Found, goal: Goal, subject: Mapping[str, Any], machine: Mapping[str, Any]
) -> dict[str, Any]:
    """All figures for programs; docs/how-to/tune.md describes the fields."""
    choice = found.choice
    rows = [
        _row(row, verdict(row, choice, goal.target_ms, _fastest(found)))
        for row in ordered(found, goal.target_ms)
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "model": dict(subject),
        "machine": {**machine, "openvino": _version("openvino")},
        "target_p99_ms": goal.target_ms,
        "seconds": goal.seconds,
        "clients": goal.clients,
        "chosen": choice.best and _row(choice.best, "chosen"),
        "nearest": choice.nearest and _row(choice.nearest, "nearest"),
        "default": found.default and _row(found.default, "untuned"),
        "rows": rows,
        "ruled_out": [{"what": each.what, "why": each.why} for each in found.ruled_out],
    }


def _row(row: Row, said: str) -> dict[str, Any]:
    return {
        **_settings(row.configuration),
        "model_server": _sample(row.calls, row.configuration.batch_size),
        "gateway": {
            "requests_per_second": round(row.capacity.rate, 2),
            "offered_share": row.share,
            **(_sample(row.offered, 1) or {}),
        }
        if row.is_measured_whole
        else None,
        "verdict": said,
    }


def _settings(way: Configuration) -> dict[str, Any]:
    server = way.server
    return {
        "engine": server.engine,
        "precision": server.precision,
        "parallel": server.parallel,
        "threads": server.threads,
        "server_batch_size": server.server_batch_size,
        "batch_size": way.batch_size,
        "in_flight": way.in_flight,
    }


def _sample(sample: Sample, images: int) -> dict[str, Any] | None:
    if not sample.n:
        return None
    p50, p99 = (sample.percentile_ms(percent) for percent in (50, 99))
    return {
        "images_per_second": round(sample.rate * images, 2),
        "p50_ms": round(p50, 3) if math.isfinite(p50) else None,
        "p99_ms": round(p99, 3) if math.isfinite(p99) else None,
        "n": sample.n,
        "failed": sample.failed,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commands(model: str, base_path: str, folder: str) -> Sequence[str]:
    """How what was written is used."""
    where = f"--model_name={model} --model_base_path={base_path}/{model}"
    return (
        f"python -m serving {where} $(cat {folder}/model-server.flags)",
        f"env $(cat {folder}/gateway.env) GATEWAY_MODEL_NAME={model} python -m app",
    )
