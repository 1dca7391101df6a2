"""Which part of a load test runs, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

from sightserve.bench.run import Plan, Step, seconds_of


@contextmanager
def told(plan: Plan, *, is_quiet: bool) -> Iterator[Callable[[Step], None]]:
    """What tells of each part on standard error; of nothing where that is no terminal."""
    console = Console(stderr=True, highlight=False)
    if is_quiet or not console.is_terminal:
        yield lambda _: None
        return
    console.print(f"about {seconds_of(plan):.0f} s; Ctrl-C stops")
    with Status("", console=console, refresh_per_second=2) as status:
        yield lambda step: status.update(step.name)
