"""Which class a label means: by the model's label, by outside id (WordNet), or by index."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from contract.card import ClassInfo

_CLOSE = 3
Spelling = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class UnknownLabel:
    """A label of the data set that no class of the model has, or more than one."""

    label: str
    pictures: int
    hint: str
    """What may be meant, for people; empty where nothing is near."""

    def __str__(self) -> str:
        return f"{self.label} ({self.pictures}{'; ' if self.hint else ''}{self.hint})"


@dataclass(frozen=True, slots=True)
class Matched:
    """Labels by what the model calls them."""

    indices: Mapping[str, int]
    unknown: tuple[UnknownLabel, ...]


def match(labels: Sequence[str], classes: Sequence[ClassInfo]) -> Matched:
    """Find the class of every label.

    The exact label comes first, then the exact id, then both without regard to case, `_`, `-` and
    spaces. Labels that are all numbers and none of them a label are class indices.

    Args:
        labels: one per picture, repeated.
        classes: in order of index.
    """
    pictures = Counter(labels)
    distinct = list(pictures)
    tables = _tables(classes)
    found = {label: _find(label, tables) for label in distinct}
    if all(not hits for hits in found.values()) and all(_is_index(label) for label in distinct):
        found = {label: [int(label)] if int(label) < len(classes) else [] for label in distinct}
    unknown = [label for label, hits in found.items() if len(hits) != 1]
    return Matched(
        indices={label: hits[0] for label, hits in found.items() if len(hits) == 1},
        unknown=tuple(
            UnknownLabel(label, pictures[label], _hint(label, found[label], classes))
            for label in unknown
        ),
    )


def _tables(classes: Sequence[ClassInfo]) -> list[tuple[Spelling, dict[str, list[int]]]]:
    return [
        (spelling, _table(spelling, classes, name))
        for spelling in (str, _loose)
        for name in ("label", "id")
    ]


def _table(spelling: Spelling, classes: Iterable[ClassInfo], name: str) -> dict[str, list[int]]:
    table: dict[str, list[int]] = {}
    for each in classes:
        if getattr(each, name) is not None:
            table.setdefault(spelling(getattr(each, name)), []).append(each.index)
    return table


def _find(label: str, tables: Sequence[tuple[Spelling, dict[str, list[int]]]]) -> list[int]:
    return next(
        (table[spelling(label)] for spelling, table in tables if spelling(label) in table), []
    )


def _loose(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text).strip().casefold()


def _is_index(label: str) -> bool:
    return label.isascii() and label.isdigit()


def _hint(label: str, hits: Sequence[int], classes: Sequence[ClassInfo]) -> str:
    if hits:
        return f"classes {', '.join(map(str, hits))} share it: use ids or indices"
    spellings = {_loose(each.label): each.label for each in classes}
    close = difflib.get_close_matches(_loose(label), spellings, n=_CLOSE)
    return f"close: {', '.join(spellings[each] for each in close)}" if close else ""
