"""What a training says while it runs: steps as an export's, and epochs with their figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from exporter import interruption
from exporter.progress import Reporter, reporting
from exporter.training.history import Epoch


class TrainingReporter(Reporter, Protocol):
    """A reporter that is told of epochs, too."""

    def epoch(self, number: int, most: int, figures: Epoch) -> None:
        """So many epochs of at most so many are done."""
        ...


def in_words(number: int, most: int, figures: Epoch) -> str:
    """An epoch as a line."""
    return (
        f"epoch {number} of {most}: accuracy {figures.accuracy:.3f}, "
        f"validation {figures.validation_accuracy:.3f}"
    )


class _Lines:
    """Plain lines, each epoch one of them."""

    def __init__(self, inner: Reporter, console: Console) -> None:
        self._console = console
        self.step = inner.step
        self.note = inner.note
        self.download = inner.download
        self.advance = inner.advance

    def epoch(self, number: int, most: int, figures: Epoch) -> None:
        line = f"      {in_words(number, most, figures)}"
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class _Bar:
    """One bar: of the pictures, downloads or epochs of the step that runs."""

    def __init__(self, progress: Progress, steps: int) -> None:
        self._progress = progress
        self._steps = steps
        self._begun = 0
        self._task: TaskID = progress.add_task("starting", total=None, figures="")

    def step(self, text: str) -> None:
        interruption.require_none()
        self._begun += 1
        self._progress.remove_task(self._task)  # another total, another speed
        self._task = self._progress.add_task(
            f"[{self._begun}/{self._steps}] {text}", total=None, figures=""
        )

    def note(self, text: str) -> None:
        self._progress.console.print(f"note: {text}", style="yellow", markup=False, highlight=False)

    def download(self, name: str, percent: int) -> None:
        self._progress.update(self._task, total=100, completed=percent, figures=name)

    def advance(self, text: str, done: int, total: int) -> None:  # noqa: ARG002 - as the step's
        figures = f"{done} of {total}"
        self._progress.update(self._task, total=total, completed=done, figures=figures)

    def epoch(self, number: int, most: int, figures: Epoch) -> None:
        self._progress.update(
            self._task, total=most, completed=number, figures=in_words(number, most, figures)
        )


@contextmanager
def training_reporter(console: Console, steps: int) -> Iterator[TrainingReporter]:
    """A reporter for a training and export of so many steps."""
    if not console.is_terminal:
        with reporting(console, steps) as inner:
            yield _Lines(inner, console)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress, steps)
