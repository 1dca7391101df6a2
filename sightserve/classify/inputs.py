"""Paths, folders, patterns and lists to single files, one by one, in order."""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sightserve.classify.errors import UsageError

STDIN: Final = "-"

SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp"}
)
"""Of the formats that the gateway reads."""

UNREAD_PHOTOS: Final = frozenset({".heic", ".heif", ".avif", ".tif", ".tiff", ".jxl", ".jp2"})
"""Of photos that it does not."""


@dataclass(slots=True)
class Skipped:
    """What folders held besides images."""

    suffixes: Counter[str] = field(default_factory=Counter)
    folders: int = 0
    """Not entered, for want of --recursive."""


def names(
    paths: Sequence[str], lists: Sequence[str], *, is_recursive: bool, skipped: Skipped
) -> Iterator[str]:
    """Every file to classify, as its path was given; lazily, a folder at a time.

    Raises:
        UsageError: a list cannot be read, or a pattern matches nothing.
    """
    for path in paths:
        if path == STDIN or not _is_pattern(path):
            yield from _one(path, is_recursive=is_recursive, skipped=skipped)
            continue
        found = False
        for each in glob.iglob(path, recursive=True):  # noqa: PTH207 - names as they were given
            found = True
            yield from _one(each, is_recursive=is_recursive, skipped=skipped)
        if not found:
            raise UsageError(f"{path}: nothing matches")
    for path in lists:
        yield from _listed(path)


def count(walk: Callable[[Skipped], Iterator[str]], *, is_counted: bool) -> int | None:
    """How many there will be, for a progress bar; None where nobody wants to know."""
    return sum(1 for _ in walk(Skipped())) if is_counted else None


def _is_pattern(path: str) -> bool:
    return glob.has_magic(path) and not os.path.lexists(path)


def _one(path: str, *, is_recursive: bool, skipped: Skipped) -> Iterator[str]:
    if path != STDIN and os.path.isdir(path):  # noqa: PTH112 - a million of them
        yield from _folder(path, is_recursive=is_recursive, skipped=skipped)
    else:
        yield path


def _folder(path: str, *, is_recursive: bool, skipped: Skipped) -> Iterator[str]:
    """Its images by name, then those of its folders; links to folders are not followed."""
    try:
        with os.scandir(path) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    folders = [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]
    for entry in found:
        if entry.is_dir():
            continue
        suffix = Path(entry.name).suffix.lower()
        if suffix in SUFFIXES:
            yield entry.path
        else:
            skipped.suffixes[suffix or "no suffix"] += 1
    if not is_recursive:
        skipped.folders += len(folders)
        return
    for folder in folders:
        yield from _folder(folder, is_recursive=True, skipped=skipped)


def _listed(path: str) -> Iterator[str]:
    """The lines of a file, or of standard input."""
    try:
        with open(sys.stdin.fileno() if path == STDIN else path, encoding="utf-8",
                  errors="surrogateescape", closefd=path != STDIN) as lines:  # fmt: skip
            for line in lines:
                if name := line.rstrip("\r\n"):
                    yield name
    except OSError as error:
        raise UsageError(f"--from-file {path}: {error.strerror or error}") from error
