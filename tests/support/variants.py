"""What the tests of lighter and faster variants share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter.measure.timing import Budget
from exporter.options import ExportOptions
from exporter.progress import SilentReporter


class Notes(SilentReporter):
    """Keeps what it is told to note."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def options(base_path: Path, **given: Any) -> ExportOptions:
    return ExportOptions(name="m", base_path=base_path, parity_bound=1e-4, **given)


@contextmanager
def short_races() -> Iterator[None]:
    """Three rounds of each race: figures, though nobody should believe them."""
    from exporter.measure import race, variants  # noqa: PLC0415 - TensorFlow

    patch = pytest.MonkeyPatch()
    budget = Budget(0, rounds=3)
    patch.setattr(variants, "race", lambda *given: race.race(*given, budget))
    try:
        yield
    finally:
        patch.undo()
