"""`python -m bench.race`: prepare, run, print, write."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench.race import machine, options, page, table
from bench.race.flow import Race
from bench.race.prepare import prepare

_console = Console(stderr=True, highlight=False)
_INTERRUPTED = 130
_FAILED = 3


def main() -> None:
    """Run the race; whatever was measured is written, even if it did not get to its end."""
    chosen = options.read()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    started = time.monotonic()
    is_whole = False
    with ExitStack() as stack:
        folder = chosen.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tell = _telling(stack)
        where = machine.machine()
        tell(f"preparing {chosen.model}: pictures, weights, versions")
        try:
            prepared = prepare(folder, chosen.model, has_int8=chosen.has_int8)
            race = Race(prepared, chosen, folder / "logs", tell)
        except (RuntimeError, KeyboardInterrupt) as error:
            sys.exit(str(error) or "interrupted")
        try:
            race.run()
            is_whole = True
        except KeyboardInterrupt:
            _console.print("interrupted: what was measured is written")
        finally:
            if race.measurements:
                _write(race, chosen, where, time.monotonic() - started)
    sys.exit(0 if is_whole else _INTERRUPTED)


def _write(race: Race, chosen: options.Options, where: dict[str, Any], seconds: float) -> None:
    run = {
        "model": chosen.model,
        "at": machine.now(),
        "revision": machine.revision(),
        "seconds": round(seconds),
        "machine": where,
        "versions": machine.versions(),
        "options": chosen.to_json(),
        "pictures": race.pictures(),
        "notes": race.notes,
        "contenders": race.described,
        "floors": race.floors,
        "directs": race.directs,
        "measurements": race.measurements,
    }
    results = page.load(chosen.output)
    results["runs"][chosen.model] = run
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps(results, indent=1) + "\n")
    table.show(run, _wide())
    _console.print(f"written: {chosen.output}; the page: python -m bench.race.page")


def _wide() -> Console:
    """Tables do not fit into 80 columns, which is what a pipe has."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


def _telling(stack: ExitStack) -> Any:
    """A spinner on a terminal, a line a step anywhere else."""
    if not _console.is_terminal:
        return lambda text: _console.print(text, markup=False, soft_wrap=True)
    progress = stack.enter_context(
        Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=_console, refresh_per_second=2, transient=True,
        )
    )  # fmt: skip
    task = progress.add_task("")
    return lambda text: progress.update(task, description=text)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
