"""Class labels: what was given with --labels, or made up when there is nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from contract.card import ClassInfo
from exporter.errors import UsageError
from exporter.sources.label_formats import ClassName, from_csv, from_folder, from_json, from_lines
from exporter.sources.label_text import read_text, require_printable

__all__ = ["ClassName", "duplicates", "numbered", "read", "to_classes"]

_CSV_SUFFIXES = {".csv": ",", ".tsv": "\t"}


def read(given: str | Path) -> tuple[ClassName, ...]:
    """Read labels from whatever names them: `label_formats` has a function for each.

    Args:
        given: a file (a label per line; JSON; CSV or TSV by its suffix), a folder with a folder per
            class, or labels with commas between them. What exists on disk wins.

    Raises:
        UsageError: there is nothing of that name, it is empty, or an index would slip.
    """
    path = Path(given)
    if path.is_dir():
        return from_folder(path)
    if "," in str(given) and not path.exists():
        return _from_list(str(given))
    names = _from_file(path)
    if not names:
        raise UsageError(f"--labels {path}: the file is empty; write one label per line")
    return names


def numbered(count: int) -> tuple[ClassName, ...]:
    """`class_0`, `class_1` …: better than none, and clearly not real."""
    return tuple(ClassName(f"class_{index}") for index in range(count))


def duplicates(names: Sequence[ClassName]) -> list[str]:
    """Labels that more than one class carries (ImageNet has two: crane and maillot)."""
    return [label for label, n in Counter(name.label for name in names).items() if n > 1]


def to_classes(names: Sequence[ClassName]) -> tuple[ClassInfo, ...]:
    """Number the classes for the model card."""
    return tuple(
        ClassInfo(index=index, label=name.label, id=name.id) for index, name in enumerate(names)
    )


def _from_file(path: Path) -> tuple[ClassName, ...]:
    text = read_text(path, f"--labels {path}")
    delimiter = _CSV_SUFFIXES.get(path.suffix.lower())
    if delimiter:
        return from_csv(path, text, delimiter)
    if text.lstrip()[:1] in {"{", "["}:
        return from_json(path, text)
    return from_lines(path, text)


def _from_list(given: str) -> tuple[ClassName, ...]:
    return tuple(
        ClassName(require_printable(label, f"--labels {given}: label {number} of the list"))
        for number, label in enumerate(given.split(","), 1)
    )
