"""Where results go: standard output, or a file that has its name only once it is complete."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sightserve.classify.errors import UsageError

Write = Callable[[str], object]


@contextmanager
def opened(path: Path | None) -> Iterator[Write]:
    """Takes text for the length of the block; on an error the file is not there.

    Raises:
        UsageError: the file cannot be written.
    """
    if path is None:
        yield _to_standard_output
    elif path.exists() and not path.is_file():  # a pipe or /dev/stdout: nothing to replace
        if path.is_dir():
            raise UsageError(f"--output {path}: it is a folder")
        with path.open("w", encoding="utf-8", errors="surrogateescape") as file:
            yield file.write
    else:
        yield from _replaced(path)


def _to_standard_output(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _replaced(path: Path) -> Iterator[Write]:
    target = path.resolve()  # through a link, which stays
    try:
        descriptor, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}.", suffix=".part"
        )
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror or error}") from error
    part = Path(name)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - a descriptor
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        part.chmod(_mode(target))
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _mode(target: Path) -> int:
    """What the file had, or what a new one would get."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
