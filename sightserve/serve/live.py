"""What a running service looks like, on a terminal of 80 columns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sightserve.serve.answers import content, problem

_INTERVAL_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 1.0
_PROBLEMS: Final = 3
_STATE_STYLES: Final = {"AVAILABLE": "green", "LOADING": "yellow", "UNLOADING": "yellow"}
_STAGES: Final = ("total", "inference", "queue", "decode")
"""From the whole to its parts, in the order of what they usually take."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the gateway says of itself at one time."""

    is_ready: bool = False
    reason: str = ""
    """Why it is not ready, or does not say all that is shown here."""
    models: list[dict[str, Any]] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)


def look(client: httpx.Client) -> Snapshot:
    """Ask the gateway; never raises for what it answers, or does not."""
    try:
        answers = [client.get(path) for path in ("/readyz", "/models", "/stats")]
    except httpx.HTTPError as error:
        return Snapshot(reason=f"the gateway does not answer: {error}")
    ready, models, stats = answers
    return Snapshot(
        ready.is_success,
        next((problem(each) for each in answers if not each.is_success), ""),
        content(models).get("models", []),
        content(stats) if stats.is_success else {},
    )


def render(url: str, snapshot: Snapshot, logs: Path | None = None) -> RenderableType:
    """The view."""
    parts: list[RenderableType] = [_head(url, snapshot)]
    if snapshot.models:
        parts += [Text(), _models(snapshot.models), *_failures(snapshot.models)]
    if stages := snapshot.stats.get("stages"):
        parts += [Text(), _latencies(stages)]
    if problems := snapshot.stats.get("last_problems"):
        parts += [Text(), *(_problem(each) for each in problems[:_PROBLEMS])]
    parts += [
        Text(),
        Text(f"Ctrl-C stops everything.{f' Logs: {logs}' if logs else ''}", style="dim"),
    ]
    return Group(*parts)


def watch(url: str, console: Console, logs: Path, check: Callable[[], None]) -> None:
    """Show it until `check` raises."""
    with (
        httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS, trust_env=False) as client,
        Live(console=console, auto_refresh=False, transient=True) as live,
    ):
        while True:
            check()
            live.update(render(url, look(client), logs), refresh=True)
            time.sleep(_INTERVAL_SECONDS)


def _head(url: str, snapshot: Snapshot) -> Text:
    state = ("ready", "bold green") if snapshot.is_ready else ("not ready", "bold red")
    head = Text.assemble(state, "  ", (f"{url}/", "bold"))
    stats = snapshot.stats
    if (rate := stats.get("requests_per_second")) is not None:
        head.append(f"   {rate:.1f} images/s   {stats.get('images_in_progress', 0)} in progress")
    counts = [
        f"{stats[name]:,} {name}" for name in ("answered", "refused", "failed") if stats.get(name)
    ]
    if counts:
        head.append("\n" + "   ".join(counts), style="dim")
    if snapshot.reason:
        head.append(f"\n{snapshot.reason}", style="yellow" if snapshot.is_ready else "red")
    return head


def _models(models: list[dict[str, Any]]) -> Table:
    table = Table("model", "version", "state", box=None, pad_edge=False, header_style="dim")
    for model in models:
        name = f"{model['name']}{' (default)' if model.get('is_default') else ''}"
        versions = model.get("versions") or [{"version": "-", "state": model.get("error", "none")}]
        for each in versions:
            state = str(each.get("state", "-"))
            table.add_row(
                Text(name),
                str(each.get("version", "-")),
                Text(state, _STATE_STYLES.get(state, "red")),
            )
            name = ""
    return table


def _failures(models: list[dict[str, Any]]) -> list[Text]:
    """Why versions do not load, in the model server's words."""
    lines = [
        f"{model['name']}:{each['version']} {each['error'].splitlines()[0]}"
        for model in models
        for each in model.get("versions") or []
        if each.get("error")
    ]
    return [Text(line, style="red", no_wrap=True, overflow="ellipsis") for line in lines]


def _latencies(stages: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("ms over the last minutes", "images", "p50", "p95", "p99", "max"):
        table.add_column(column, justify="left" if table.columns == [] else "right")
    order = {name: place for place, name in enumerate(_STAGES)}
    key = lambda each: (each["model"], str(each["version"]), order.get(each["stage"], len(order)))  # noqa: E731 - of one use
    for each in sorted(stages, key=key):
        figures = [f"{each[name]:.1f}" for name in ("p50", "p95", "p99", "max") if name in each]
        label = f"{each['model']}:{each['version']} {each['stage']}"
        table.add_row(Text(label), f"{each.get('count', 0):,}", *figures)
    return table


def _problem(problem: dict[str, Any]) -> Text:
    at = str(problem.get("at", ""))[11:19]
    line = f"{at} {problem.get('status', '')} {problem.get('detail', '')}"
    return Text(line, style="yellow", no_wrap=True, overflow="ellipsis")
