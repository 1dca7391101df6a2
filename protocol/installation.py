"""What a program says that starts without what it needs; imports nothing that could be missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_OLDEST: Final = (3, 11)
_USAGE: Final = 2
_OURS: Final = {"sightserve", "app", "contract", "exporter", "protocol", "serving"}
"""Where one of these is missing, a package to install is not what is missing."""
_IS_INSTALLED: Final = __name__.startswith("sightserve.")
"""A wheel has moved us below `sightserve`."""


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
        _end(_missing(name, extra))


def _missing(module: str, extra: str) -> str:
    install = f'pip install "sightserve[{extra}]"'
    if _IS_INSTALLED:
        return f"this needs more than the client: {install} (no module named {module})"
    return (
        f"{sys.executable} has no module named {module}: use .venv/bin/python, which `make run` "
        f"sets up, or the installed command ({install})"
    )


def _end(line: str) -> None:
    print(f"error: {line}", file=sys.stderr)  # noqa: T201 - the one line the user needs
    sys.exit(_USAGE)
