"""Class labels: read from a file, or made up when there is none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.card import ClassInfo
from exporter.errors import UsageError
from exporter.sources.label_text import require_printable, split_lines


@dataclass(frozen=True, slots=True)
class ClassName:
    """A class before it has an index: its label and an outside id such as a WordNet id."""

    label: str
    id: str | None = None


def read(path: Path) -> tuple[ClassName, ...]:
    """Read one label per line, or Keras' class-index JSON (`{"0": ["n01440764", "tench"], …}`).

    Raises:
        UsageError: the file is missing, empty, not UTF-8, or is JSON of another shape.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"--labels {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--labels {path}: not UTF-8 text; save it as UTF-8") from error
    names = _from_json(path, text) if text.lstrip()[:1] in {"{", "["} else _from_lines(path, text)
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


def _from_lines(path: Path, text: str) -> tuple[ClassName, ...]:
    return tuple(
        ClassName(require_printable(line, f"--labels {path}: line {number}"))
        for number, line in enumerate(split_lines(text), 1)
    )


def _from_json(path: Path, text: str) -> tuple[ClassName, ...]:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--labels {path}: not JSON ({error})") from error
    if isinstance(content, list):
        entries = content
    else:
        missing = [index for index in range(len(content)) if str(index) not in content]
        if missing:
            raise UsageError(f"--labels {path}: class {missing[0]} of {len(content)} is missing")
        entries = [content[str(index)] for index in range(len(content))]
    return tuple(_entry(path, index, entry) for index, entry in enumerate(entries))


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
