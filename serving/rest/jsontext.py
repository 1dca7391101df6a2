"""JSON text as TensorFlow Serving writes it: RapidJSON's pretty writer, lists on one line.

A number that is not finite ends the text where it stands: their writer refuses it, and error
messages really do show the value cut off there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from serving.rest.numbers import double_text
from serving.rest.rapidjson import members

if TYPE_CHECKING:
    from collections.abc import Iterator

INDENT = "    "
_NOT_FINITE = frozenset({float("inf"), float("-inf")})


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
    """A JSON value, as error messages quote it."""
    pieces: list[str] = []
    open_values: list[tuple[Iterator[Any], str]] = []
    while True:
        if isinstance(value, (dict, list)) and value:
            is_list = isinstance(value, list)
            pieces.append("[" if is_list else "{")
            items = iter(value if isinstance(value, list) else members(value))
            open_values.append((items, "]" if is_list else "}"))
        elif isinstance(value, float) and (value != value or value in _NOT_FINITE):  # noqa: PLR0124 - NaN
            return "".join(pieces)
        else:
            pieces.append(_scalar(value))
        try:
            value = _next_value(pieces, open_values)
        except StopIteration:
            return "".join(pieces)


def _next_value(pieces: list[str], open_values: list[tuple[Iterator[Any], str]]) -> Any:
    """Write what stands before the next value, and give that; StopIteration after the last."""
    while open_values:
        items, closing = open_values[-1]
        is_first = pieces[-1] in {"[", "{"}
        item: Any = next(items, _END)
        if item is not _END:
            if closing == "]":
                pieces.append("" if is_first else ", ")
                return item
            key, value = item
            pieces.append(f"{'' if is_first else ','}\n{INDENT * len(open_values)}{quoted(key)}: ")
            return value
        open_values.pop()
        pieces.append(closing if closing == "]" else f"\n{INDENT * len(open_values)}{closing}")
    raise StopIteration


_END = object()


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float):
        return double_text(value)
    return json.dumps(value)
