"""What long work says while it runs: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from exporter import interruption

_LINE_EVERY_PERCENT = 25


class Reporter(Protocol):
    """Told what is being done, in order."""

    def step(self, text: str) -> None:
        """The next step begins."""
        ...

    def note(self, text: str) -> None:
        """Something that the user should know, without being an error."""
        ...

    def download(self, name: str, percent: int) -> None:
        """So much of a file has arrived."""
        ...

    def advance(self, text: str, done: int, total: int) -> None:
        """So much of a long step is done: images, batches, versions."""
        ...


class SilentReporter:
    """Says nothing."""

    def step(self, text: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def download(self, name: str, percent: int) -> None:
        """Say nothing."""

    def advance(self, text: str, done: int, total: int) -> None:
        """Say nothing."""


class _BarReporter:
    def __init__(self, progress: Progress, steps: int) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=steps)
        self._begun = 0

    def step(self, text: str) -> None:
        interruption.require_none()
        self._progress.update(self._task, description=text, completed=self._begun)
        self._begun += 1

    def note(self, text: str) -> None:
        self._progress.console.print(f"note: {text}", style="yellow", markup=False, highlight=False)

    def download(self, name: str, percent: int) -> None:
        self._progress.update(self._task, description=f"downloading {name}: {percent} %")

    def advance(self, text: str, done: int, total: int) -> None:
        self._progress.update(self._task, description=f"{text}: {done} of {total}")


class _LineReporter:
    def __init__(self, console: Console, steps: int) -> None:
        self._console = console
        self._steps = steps
        self._begun = 0

    def step(self, text: str) -> None:
        interruption.require_none()
        self._begun += 1
        self._say(f"[{self._begun}/{self._steps}] {text}")

    def note(self, text: str) -> None:
        self._say(f"note: {text}")

    def download(self, name: str, percent: int) -> None:
        if percent % _LINE_EVERY_PERCENT == 0:
            self._say(f"      downloading {name}: {percent} %")

    def advance(self, text: str, done: int, total: int) -> None:
        quarters = 4 * done // total, 4 * (done - 1) // total
        if quarters[0] != quarters[1]:
            self._say(f"      {text}: {done} of {total}")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def reporting(console: Console, steps: int) -> Iterator[Reporter]:
    """A reporter for work of so many steps."""
    if not console.is_terminal:
        yield _LineReporter(console, steps)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _BarReporter(progress, steps)
