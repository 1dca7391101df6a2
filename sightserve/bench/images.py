"""The files that a load test sends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sightserve.bench.errors import UsageError
from sightserve.classify.inputs import SUFFIXES

MAX_IMAGES: Final = 256
"""Of a folder the first by name: all are held in memory."""


def read_images(paths: Sequence[Path]) -> list[tuple[str, bytes]]:
    """Names and contents of files, and of the images in folders.

    Raises:
        UsageError: there is none, or one cannot be read.
    """
    files = [file for path in paths for file in _files(path)][:MAX_IMAGES]
    images = []
    for file in files:
        try:
            images.append((str(file), file.read_bytes()))
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror or error}") from error
    return images


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
    if not found:
        raise UsageError(f"{path}: no image in this folder ({', '.join(sorted(SUFFIXES))})")
    return found
