"""JSON text as TensorFlow Serving writes it: RapidJSON's pretty writer, lists on one line.

A number that is not finite ends the text where it stands: their writer refuses it, and error
messages really do show the value cut off there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serving.rest.numbers import double_text
from serving.rest.rapidjson import members

INDENT = "    "
_MAX_QUOTED_BYTES = 256


def quoted(text: str) -> str:
    """A JSON string; surrogate escapes stay, for `encode` to turn back into bytes."""
    return json.dumps(text, ensure_ascii=False)


def encode(text: str) -> bytes:
    """The bytes of a body; what came in as invalid UTF-8 goes out as it was."""
    return text.encode("utf-8", "surrogateescape")


def type_name(value: Any) -> str:
    """RapidJSON's type of a JSON value, as error messages name it."""
    if isinstance(value, bool):
        return str(value)
    names = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), "Null")


def pretty(value: Any) -> str:
    """A JSON value, as error messages quote it: no further than the token that passes 256 bytes."""
    pieces: list[str] = []
    size = 0
    for token in _tokens(value):
        pieces.append(token)
        size += len(encode(token))
        if size > _MAX_QUOTED_BYTES:
            break
    return "".join(pieces)


@dataclass(slots=True)
class _Open:
    """A list or object that is being written."""

    items: Iterator[Any]
    closing: str
    is_started: bool = False


def _tokens(value: Any) -> Iterator[str]:
    """The text of a value, token by token: scalars, keys and brackets with what precedes them."""
    prefix = ""
    open_values: list[_Open] = []
    while True:
        if isinstance(value, list):
            yield f"{prefix}["
            open_values.append(_Open(iter(value), "]"))
        elif isinstance(value, dict):
            yield f"{prefix}{{"
            open_values.append(_Open(iter(members(value)), "}"))
        else:
            yield prefix
            if isinstance(value, float) and not math.isfinite(value):
                return
            yield _scalar(value)
        while open_values:
            container = open_values[-1]
            item: Any = next(container.items, _END)
            if item is not _END:
                break
            yield _closing(open_values)
        if not open_values:
            return
        if container.closing == "]":
            value, prefix = item, ", " if container.is_started else ""
        else:
            key, value = item
            comma = "," if container.is_started else ""
            yield f"{comma}\n{INDENT * len(open_values)}{quoted(key)}"
            prefix = ": "
        container.is_started = True


def _closing(open_values: list[_Open]) -> str:
    container = open_values.pop()
    if container.closing == "]" or not container.is_started:
        return container.closing
    return f"\n{INDENT * len(open_values)}{container.closing}"


_END = object()


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float):
        return double_text(value)
    return json.dumps(value)
