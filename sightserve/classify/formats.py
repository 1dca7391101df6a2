"""One result after the other as text: a table for people, JSON and CSV for programs.

Each format is a class with `head`, `item` and `tail`, whose texts are written one after the other;
nothing is kept, however many results there are.
"""

from __future__ import annotations

import csv
import json
import unicodedata
from abc import ABC, abstractmethod
from io import StringIO
from typing import Any, Final, Literal

from sightserve.client import Item, ProblemError

FormatName = Literal["table", "json", "jsonl", "csv"]

_FILE_COLUMNS: Final = 36
_LABEL_COLUMNS: Final = 28
_TABLE_COLUMNS: Final = 80


class Format(ABC):
    """Results to text."""

    def head(self) -> str:
        """Before the first."""
        return ""

    @abstractmethod
    def item(self, item: Item) -> str:
        """One."""

    def tail(self) -> str:
        """After the last."""
        return ""


def formatted_as(name: FormatName) -> Format:
    """The format of that name."""
    formats: dict[str, type[Format]] = {
        "table": Table, "json": JsonArray, "jsonl": JsonLines, "csv": Csv,
    }  # fmt: skip
    return formats[name]()


def error_text(item: Item) -> str:
    """Why there is no result, in one line."""
    error = item.error
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split())


class Table(Format):
    """80 columns; long names lose their middle."""

    def head(self) -> str:
        """The columns' names."""
        return f"{'file':{_FILE_COLUMNS}}  {'class':{_LABEL_COLUMNS}}  probability\n"

    def item(self, item: Item) -> str:
        """One file."""
        name = _fitted(_printable(str(item.image)), _FILE_COLUMNS)
        if item.result is None:
            return self._failed(name, f"failed: {_printable(error_text(item))}")
        lines = []
        for prediction in item.result.predictions:
            label = _fitted(_printable(prediction.name), _LABEL_COLUMNS)
            lines.append(f"{name}  {label}  {prediction.probability:11.4f}\n")
            name = " " * _FILE_COLUMNS
        return "".join(lines) or f"{name}  (no class is so probable)\n"

    def _failed(self, name: str, text: str) -> str:
        width = _TABLE_COLUMNS - _FILE_COLUMNS - 2
        lines = []
        while text:
            cut = text.rfind(" ", 0, width + 1) if len(text) > width else len(text)
            cut = cut if cut > 0 else width
            lines.append(f"{name}  {text[:cut]}\n")
            name, text = " " * _FILE_COLUMNS, text[cut:].lstrip()
        return "".join(lines)


class JsonLines(Format):
    """An object a line, as soon as it is there."""

    def item(self, item: Item) -> str:
        """One file."""
        return json.dumps(_members(item), ensure_ascii=False) + "\n"


class JsonArray(Format):
    """The same objects in one array."""

    def __init__(self) -> None:
        self._separator = ""

    def head(self) -> str:
        """Begin."""
        return "["

    def item(self, item: Item) -> str:
        """One file."""
        text = f"{self._separator}\n{json.dumps(_members(item), ensure_ascii=False)}"
        self._separator = ","
        return text

    def tail(self) -> str:
        """End."""
        return "\n]\n"


class Csv(Format):
    """A row for each class of each file; a failed one has a row with `error`."""

    def head(self) -> str:
        """The columns' names."""
        return _row(
            "file", "rank", "label", "probability", "class_index", "id", "model", "version", "error"
        )

    def item(self, item: Item) -> str:
        """One file."""
        name, result = str(item.image), item.result
        if result is None:
            return _row(name, "", "", "", "", "", "", "", error_text(item))
        where = (result.model.name, result.model.version)
        return "".join(
            _row(name, rank, each.label, each.probability, each.class_index, each.id, *where, "")
            for rank, each in enumerate(result.predictions, 1)
        ) or _row(name, "", "", "", "", "", *where, "")


def _members(item: Item) -> dict[str, Any]:
    """As an answer of /classify/batch, with the path as it was given."""
    file, result = str(item.image), item.result
    if result is None:
        failed: dict[str, Any] = {"file": file, "error": error_text(item)}
        if isinstance(item.error, ProblemError):
            problem = item.error
            failed["problem"] = {
                "type": problem.type,
                "title": problem.title,
                "status": problem.status,
                "detail": problem.detail,
                "request_id": problem.request_id,
            }
        return failed
    timing = result.timing_ms
    return {
        "file": file,
        "model": {"name": result.model.name, "version": result.model.version},
        "predictions": [
            {
                "class_index": each.class_index,
                "label": each.label,
                "id": each.id,
                "probability": each.probability,
            }
            for each in result.predictions
        ],
        "image": {
            "format": result.image.format,
            "width": result.image.width,
            "height": result.image.height,
        },
        "timing_ms": {
            "decode": timing.decode,
            "queue": timing.queue,
            "inference": timing.inference,
            "total": timing.total,
        },
        "request_id": result.request_id,
    }


def _row(*values: object) -> str:
    file = StringIO()
    csv.writer(file, lineterminator="\n").writerow(values)
    return file.getvalue()


def _printable(text: str) -> str:
    """Without what would move the cursor: names of files may hold anything."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _fitted(text: str, columns: int) -> str:
    """Exactly so many columns of a terminal."""
    if _columns(text) > columns:
        front, back = (columns - 1) // 3, columns - 1 - (columns - 1) // 3
        while _columns(text[:front]) > (columns - 1) // 3:
            front -= 1
        while _columns(text[-back:]) > columns - 1 - (columns - 1) // 3:
            back -= 1
        text = f"{text[:front]}…{text[-back:]}"
    return text + " " * (columns - _columns(text))


def _columns(text: str) -> int:
    """Chinese and its like take two."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
