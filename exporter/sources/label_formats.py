"""The formats in which labels are kept; each of them refuses what would shift a class index."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final

from exporter.errors import UsageError
from exporter.sources.label_text import require_printable, split_lines

_LABEL_COLUMNS: Final = ("label", "class", "class_name", "name", "labels")
_INDEX_COLUMNS: Final = ("index", "class_index", "class_idx")
_ID_COLUMNS: Final = ("id", "wnid", "class_id", "synset")


@dataclass(frozen=True, slots=True)
class ClassName:
    """A class before it has an index: its label and an outside id such as a WordNet id."""

    label: str
    id: str | None = None


def from_lines(path: Path, text: str) -> tuple[ClassName, ...]:
    """One label per line.

    Raises:
        UsageError: a line between labels is empty.
    """
    return tuple(
        ClassName(require_printable(line, f"--labels {path}: line {number}"))
        for number, line in enumerate(split_lines(text), 1)
    )


def from_folder(path: Path) -> tuple[ClassName, ...]:
    """The folder's folders, sorted by name as Keras' image_dataset_from_directory sorts them.

    Raises:
        UsageError: there are none.
    """
    names = sorted(
        each.name for each in path.iterdir() if each.is_dir() and not each.name.startswith(".")
    )
    if not names:
        raise UsageError(f"--labels {path}: there is no folder in it; it takes one per class")
    return tuple(
        ClassName(require_printable(name, f"--labels {path}: folder {name!r}")) for name in names
    )


def from_json(path: Path, text: str) -> tuple[ClassName, ...]:
    """Keras' class index, its generators' `class_indices`, or a list of labels.

    The three: `{"0": ["n01440764", "tench"], …}`, `{"cat": 0, "dog": 1}`, `["cat", "dog"]`.

    Raises:
        UsageError: it is no JSON, or JSON of another shape, or an index is missing.
    """
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--labels {path}: not JSON ({error})") from error
    if isinstance(content, list):
        return tuple(_entry(path, index, entry) for index, entry in enumerate(content))
    if content and all(type(value) is int for value in content.values()):
        numbered = [
            (index, ClassName(require_printable(label, f"--labels {path}: class {index}")))
            for label, index in content.items()
        ]
        return _in_order(path, numbered)
    missing = [index for index in range(len(content)) if str(index) not in content]
    if missing:
        raise UsageError(f"--labels {path}: class {missing[0]} of {len(content)} is missing")
    return tuple(_entry(path, index, content[str(index)]) for index in range(len(content)))


def from_csv(path: Path, text: str, delimiter: str) -> tuple[ClassName, ...]:
    """A label per row, or index and label; a first row of column names is recognised.

    Raises:
        UsageError: a row has another shape than the rest, or an index is missing or twice there.
    """
    rows = [
        (number, [cell.strip() for cell in row])
        for number, row in enumerate(csv.reader(StringIO(text), delimiter=delimiter), start=1)
        if any(cell.strip() for cell in row)
    ]
    if not rows:
        return ()
    columns = _columns(rows[0][1])
    if columns:
        rows = rows[1:]
    else:
        columns = _guessed_columns(path, rows)
    return _from_rows(path, rows, columns)


def _from_rows(
    path: Path, rows: Sequence[tuple[int, list[str]]], columns: dict[str, int]
) -> tuple[ClassName, ...]:
    numbered = []
    for place, (number, cells) in enumerate(rows):
        if len(cells) <= max(columns.values()) or not cells[columns["label"]]:
            raise UsageError(f"--labels {path}: row {number} has no label; an index would slip")
        index = cells[columns["index"]] if "index" in columns else str(place)
        if not (index.isascii() and index.isdigit()):
            raise UsageError(f"--labels {path}: row {number}: {index!r} is no class index")
        identity = cells[columns["id"]] if "id" in columns else None
        label = require_printable(cells[columns["label"]], f"--labels {path}: row {number}")
        numbered.append((int(index), ClassName(label, identity or None)))
    return _in_order(path, numbered)


def _columns(first_row: Sequence[str]) -> dict[str, int]:
    """Where label, index and id stand, by the names in the first row; empty: it has none."""
    names = [cell.lower().replace(" ", "_") for cell in first_row]
    kinds = {"label": _LABEL_COLUMNS, "index": _INDEX_COLUMNS, "id": _ID_COLUMNS}
    found = {
        kind: next(place for place, name in enumerate(names) if name in known)
        for kind, known in kinds.items()
        if any(name in known for name in names)
    }
    return found if "label" in found else {}


def _guessed_columns(path: Path, rows: Sequence[tuple[int, list[str]]]) -> dict[str, int]:
    widths = {len(cells) for _, cells in rows}
    if widths == {1}:
        return {"label": 0}
    if widths == {2}:
        numbers = [all(cells[place].isdigit() for _, cells in rows) for place in (0, 1)]
        if any(numbers):
            return {"index": 0, "label": 1} if numbers[0] else {"index": 1, "label": 0}
    raise UsageError(
        f"--labels {path}: its rows are neither a label, nor an index and a label; "
        "quote labels that hold a comma, or name the columns in a first row: index,label"
    )


def _in_order(path: Path, numbered: Iterable[tuple[int, ClassName]]) -> tuple[ClassName, ...]:
    classes = sorted(numbered, key=lambda each: each[0])
    for index, (given, _) in enumerate(classes):
        if given != index:
            what = f"class {index} is missing" if given > index else f"class {given} is there twice"
            raise UsageError(f"--labels {path}: {what}, of {len(classes)}")
    return tuple(name for _, name in classes)


def _entry(path: Path, index: int, entry: Any) -> ClassName:
    where = f"--labels {path}: class {index}"
    match entry:
        case str(label):
            return ClassName(require_printable(label, where))
        case [str(identity), str(label)]:
            identity = require_printable(identity, f"{where}, its id")
            return ClassName(require_printable(label, where), identity)
    raise UsageError(
        f'--labels {path}: {entry!r} is neither "label" nor ["id", "label"], as Keras writes it'
    )
