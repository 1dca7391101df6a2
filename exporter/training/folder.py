"""A folder per class, looked at before anything is decoded: what is a class, and what is left out.

    FOLDER/tabby cat/a.jpg
    FOLDER/tabby cat/2024/b.jpg      deeper folders belong to the class
    FOLDER/.cache/…                  hidden files and folders do not count
    FOLDER/tabby cat/notes.txt       no picture: left out, and said

Classes are numbered in the order of their sorted names. Unlike in an evaluation a folder without
pictures is an error here: with it, or without it, the classes would be others.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from exporter.accuracy.datasets import PICTURES, LabelledFile
from exporter.errors import UsageError
from exporter.sources.label_text import require_printable

_SPLITS: Final = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_LEAST_CLASSES: Final = 2


@dataclass(frozen=True, slots=True)
class PhotoFolder:
    """Classes and their picture files, none of them opened yet."""

    path: Path
    labels: tuple[str, ...]
    """[C], sorted."""
    files: tuple[LabelledFile, ...]
    """By class, then by name."""
    left_out: tuple[tuple[str, int], ...]
    """Suffixes of files that are no pictures, and how many there are of each."""


def look(path: Path) -> PhotoFolder:
    """Find classes and pictures.

    Raises:
        UsageError: there is no such folder, it cannot be read, or its classes cannot be told apart.
    """
    try:
        is_folder = path.is_dir()
    except OSError as error:
        _cannot_read(error)
    if not is_folder:
        raise UsageError(f"{path}: there is no such folder; name one with a folder per class")
    folders = sorted(each for each in _entries(path) if each.is_dir())
    labels = [_label(each) for each in folders]
    _require_classes(path, labels)
    files: list[LabelledFile] = []
    others: Counter[str] = Counter()
    for folder, label in zip(folders, labels, strict=True):
        found = _files_below(folder)
        pictures = [file for file in found if file.suffix.lower() in PICTURES]
        others.update(_kind(file) for file in found if file.suffix.lower() not in PICTURES)
        if not pictures:
            raise UsageError(_without_pictures(folder, found))
        files += [LabelledFile(file, _shown(file, path), label) for file in pictures]
    others.update(_kind(each) for each in _entries(path) if each.is_file())
    return PhotoFolder(path, tuple(labels), tuple(files), tuple(sorted(others.items())))


def _entries(path: Path) -> list[Path]:
    try:
        return [each for each in path.iterdir() if not each.name.startswith(".")]
    except OSError as error:
        _cannot_read(error)


def _files_below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=_cannot_read):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent) / name for name in sorted(names) if not name.startswith(".")]
    return found


def _cannot_read(error: OSError) -> NoReturn:
    raise UsageError(f"{error.filename}: {error.strerror}; make the folder readable") from error


def _label(folder: Path) -> str:
    return require_printable(folder.name, f"class folder {folder.name!r}")


def _require_classes(path: Path, labels: list[str]) -> None:
    if not labels:
        raise UsageError(f"{path}: there are no folders in it; put the pictures of each class "
                         "into a folder of the class's name")  # fmt: skip
    if {label.lower() for label in labels} <= _SPLITS:
        raise UsageError(
            f"{path}: its folders ({', '.join(labels)}) are parts of a split, not classes; name "
            f"one of them, such as {path / labels[0]}"
        )
    if len(labels) < _LEAST_CLASSES:
        raise UsageError(f"{path}: {labels[0]!r} is its only class, and there is nothing to tell "
                         "it from; add a folder of what is none")  # fmt: skip
    spellings = Counter(unicodedata.normalize("NFC", label) for label in labels)
    twice = [label for label, count in spellings.items() if count > 1]
    if twice:
        raise UsageError(f"{path}: several folders are called {twice[0]!r}; rename or join them")


def _without_pictures(folder: Path, found: list[Path]) -> str:
    kinds = ", ".join(sorted({_kind(file) for file in found}))
    has = f"only files of {kinds}" if kinds else "no files"
    return (
        f"{folder}: the class has no pictures ({has}); add JPEG, PNG, GIF, BMP or WebP files, or "
        "remove the folder"
    )


def _kind(file: Path) -> str:
    return require_printable(file.suffix.lower() or "no suffix", f"file {file.name!r}")


def _shown(file: Path, folder: Path) -> str:
    return str(file.relative_to(folder)).encode("utf-8", "replace").decode()
