"""A request body as a JSON object: Python's parser first, RapidJSON's rules where they differ.

The quick reading is only given out when both would agree on it, but for the last bit of decimals;
a caller who meets an error in it reads exactly again, so that messages are exact too.
"""

from __future__ import annotations

import json
import re
from typing import Any

from serving.rest import jsontext, rapidjson
from serving.rest.json_tensors import invalid
from serving.rest.numbers import parse_float

# Exponents that may overflow (an error there, infinity in Python) and surrogate escapes, which
# Python accepts unpaired. Three patterns, each with a literal start, are found ten times faster
# than one with alternatives.
_DIFFERENCES = [
    re.compile(pattern) for pattern in (rb"e\+?[0-9]{3}", rb"E\+?[0-9]{3}", rb"\\u[dD][89a-fA-F]")
]


class _RepeatedKeyError(ValueError):
    """An object with the same key twice: Python would keep the last."""


def read_quickly(body: bytes, *, exact_decimals: bool = False) -> dict[str, Any] | None:
    """The body's object by Python's parser, or None where only `read_exactly` knows.

    `exact_decimals` reads fractions in RapidJSON's rounding, for tensors of doubles.
    """
    if any(pattern.search(body) for pattern in _DIFFERENCES):
        return None
    hook = parse_float if exact_decimals else None
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique, parse_float=hook)
    except (ValueError, RecursionError):  # not UTF-8, not JSON, text after it, 5000 digits, deep
        return None
    return value if isinstance(value, dict) else None


def read_exactly(body: bytes) -> dict[str, Any]:
    """The body's object.

    Raises:
        ServingError: INVALID_ARGUMENT for text that does not parse or is no object.
    """
    value = rapidjson.loads(body)
    if not isinstance(value, dict):
        raise invalid(f"JSON Value: {jsontext.pretty(value)} Is not object")
    return value


def signature_name(document: dict[str, Any]) -> str:
    """The request's `signature_name`, "" without one.

    Raises:
        ServingError: INVALID_ARGUMENT when it is not a string.
    """
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {jsontext.pretty(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _RepeatedKeyError
    return value
