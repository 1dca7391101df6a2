"""Labelled pictures on disk, and what they are called.

    DIR/<class>/…/photo.jpg      a folder per class
    FILE.csv                     a table of file and label, with or without a heading
    labels.txt                   lines of `<file> <label>`, as `demo --write-held-out` writes them

A folder without class folders is read by the `labels.txt`, `labels.csv` or only CSV file in it.
Nothing is opened here but the list: a picture that is missing or broken is found when it is read.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporter.errors import UsageError
from exporter.sources.label_text import read_text

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"})
"""Suffixes of files that are taken for pictures."""
_LISTS: Final = ("labels.txt", "labels.csv")
_NO_PICTURES: Final = frozenset({"thumbs.db", "desktop.ini"})
_FILE_WORDS: Final = ("file", "filename", "file_name", "path", "image", "filepath")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LABEL_WORDS: Final = ("label", "class", "category", "target", "class_name", "label_name")


@dataclass(frozen=True, slots=True)
class PictureFile:
    """One picture."""

    path: Path
    name: str
    """For people: relative to the data set, and always printable as UTF-8."""


@dataclass(frozen=True, slots=True)
class LabelledFile(PictureFile):
    """One picture and the class that somebody says it is of."""

    label: str


def read(path: Path) -> tuple[LabelledFile, ...]:
    """Every labelled picture of a folder, a CSV file or a list, in a stable order.

    Raises:
        UsageError: there is no such thing, it is no list, or it names no picture.
    """
    if path.is_dir():
        files = tuple(_class_folders(path)) or _listed(_list_in(path))
    elif path.is_file():
        files = _listed(path)
    else:
        raise UsageError(f"{path}: there is no such folder or list of labelled pictures")
    if not files:
        raise UsageError(f"{path}: it names no pictures; write lines of <file>,<label>")
    return files


def name_of(path: Path) -> str:
    """What the data set is called in cards and reports."""
    named = path.parent if path.is_file() and path.name in _LISTS else path
    return _printable(named.resolve().name)


def _class_folders(folder: Path) -> Iterator[LabelledFile]:
    classes = sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    for each in classes:
        files = list(_files_below(each))
        # A folder of anything else (documents, checkpoints) is no class.
        if any(file.suffix.lower() in PICTURES for file in files):
            for file in files:
                name = _printable(str(file.relative_to(folder)))
                yield LabelledFile(file, name, _printable(each.name))


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if not name.startswith(".") and name.lower() not in _NO_PICTURES:
                yield Path(parent) / name


def _list_in(folder: Path) -> Path:
    for name in _LISTS:
        if (folder / name).is_file():
            return folder / name
    tables = sorted(folder.glob("*.csv"))
    if len(tables) == 1:
        return tables[0]
    several = f"; name one of {', '.join(each.name for each in tables)}" if tables else ""
    raise UsageError(
        f"{folder}: neither class folders with pictures nor a labels.txt or labels.csv in it"
        f"{several}"
    )


def _listed(path: Path) -> tuple[LabelledFile, ...]:
    text = read_text(path, str(path))
    if "\0" in text:
        raise UsageError(f"{path}: no text but binary data; name a CSV file or a labels.txt")
    pairs = _rows(path, text) if path.suffix.lower() == ".csv" else _lines(path, text)
    folder = path.parent
    return tuple(
        LabelledFile(folder / name, _printable(name), _printable(label)) for name, label in pairs
    )


def _lines(path: Path, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        name, _, label = line.strip().partition("\t" if "\t" in line else " ")
        if not label.strip():
            raise UsageError(f"{path}: line {number} is not <file> <label>")
        yield name, label.strip()


def _rows(path: Path, text: str) -> Iterator[tuple[str, str]]:
    heading = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=heading.count)
    try:
        rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise UsageError(f"{path}: {error}") from error
    file_column, label_column, has_heading = _columns(rows)
    for number, row in enumerate(rows, start=1):
        if has_heading and number == 1:
            continue
        if len(row) <= max(file_column, label_column) or not row[label_column].strip():
            raise UsageError(f"{path}: row {number} is not <file>,<label>")
        yield row[file_column].strip(), row[label_column].strip()


def _columns(rows: list[list[str]]) -> tuple[int, int, bool]:
    """Where file and label stand, and whether the first row says so."""
    words = [cell.strip().lower() for cell in rows[0]] if rows else []
    files = [words.index(word) for word in _FILE_WORDS if word in words]
    labels = [words.index(word) for word in _LABEL_WORDS if word in words]
    if files and labels:
        return files[0], labels[0], True
    return 0, 1, False


def _printable(name: str) -> str:
    """Without what a terminal obeys, and lone surrogates (bytes that are no UTF-8)."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", name)
