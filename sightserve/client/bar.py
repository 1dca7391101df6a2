"""A progress bar on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from sightserve.client.progress import OnProgress, Progress


@contextmanager
def progress_bar() -> Iterator[OnProgress]:
    """Shown for the length of the block, then gone."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("[red]{task.fields[failed]}"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None, rate="", failed="")

        def tell(progress: Progress) -> None:
            speed = bars.tasks[0].speed
            bars.update(
                task,
                completed=progress.done,
                total=progress.total,
                rate=f"{speed:.0f} images/s" if speed else "",
                failed=f"{progress.failed} failed" if progress.failed else "",
            )

        yield tell
