"""What a program says that starts without what it needs; imports nothing that could be missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_OLDEST: Final = (3, 11)
_USAGE: Final = 2
_OURS: Final = {"sightserve", "app", "contract", "exporter", "protocol", "serving"}


@contextmanager
def complete(extra: str) -> Iterator[None]:
    """End the process with one line and exit code 2 where Python or a package is not the right one.

    Args:
        extra: what to install, as in `pip install "sightserve[extra]"`.
    """
    if sys.version_info < _OLDEST:
        found = ".".join(map(str, sys.version_info[:2]))
        _end(f"Python 3.11 or newer is needed, this is {found} ({sys.executable})")
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").split(".", 1)[0]
        if not name or name in _OURS:
            raise
        _end(missing(name, extra))


def missing(module: str, extra: str) -> str:
    """What to do about a package that is not there."""
    return (
        f"{sys.executable} has no module named {module}: in a checkout use .venv/bin/python, which "
        f'`make run` sets up; else pip install "sightserve[{extra}]"'
    )


def _end(line: str) -> None:
    print(f"error: {line}", file=sys.stderr)  # noqa: T201 - the one line the user needs
    sys.exit(_USAGE)
