"""Request bodies as JSON values, read as TensorFlow Serving reads them, down to the error offsets.

python-rapidjson wraps the library that TensorFlow Serving uses. Made up for here is what the two
do otherwise: bytes that are not UTF-8 pass through, a byte order mark and text after the document
are skipped, of a repeated key the first counts, and some errors have other words. Left as they are:
numbers between 1.8e308 and 1e309 and the escape of a lone low surrogate are errors (there infinity
and three bytes), and so is nesting beyond Python's recursion limit.

Strings are `str` in which bytes that are not UTF-8 are surrogate escapes (PEP 383).
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import numpy as np
import rapidjson

from serving.core.errors import invalid_argument

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ERROR = re.compile(r"Parse error at offset ([0-9]+): (.*)", re.DOTALL)
_TRAILING_TEXT = "The document root must not be followed by other values."
_WORDS = {
    "Invalid encoding in string.": "Invalid escape character in string.",
    "Maximum parse recursion depth exceeded": "The document is nested too deep.",
    "Maximum parse recursion depth exceeded!": "The document is nested too deep.",
}
_STARTS_NOTHING = re.compile(r"[ \t\r\n]*[\]},:]")

# RapidJSON takes whole code points only. A surrogate escape goes through it as one of the last
# code points, which are for private use.
_ESCAPES = range(0xDC80, 0xDD00)
_HIDING = 0x110000 - _ESCAPES.stop
_FOUND = {escape + _HIDING: escape for escape in _ESCAPES}


class Members(dict[str, Any]):
    """A JSON object with repeated keys: a lookup finds the first, `pairs` has them all in order."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(reversed(pairs))
        self.pairs = pairs


def members(value: dict[str, Any]) -> list[tuple[str, Any]]:
    """The members of an object in the order of the text, repeated keys included."""
    return value.pairs if isinstance(value, Members) else list(value.items())


def keys(value: dict[str, Any]) -> list[str]:
    """The names of `members`."""
    return [key for key, _ in value.pairs] if isinstance(value, Members) else list(value)


def loads(body: bytes) -> Any:
    """The first JSON value in a body. Integers beyond 64 bits are floats.

    Raises:
        ServingError: INVALID_ARGUMENT "JSON Parse error: ...", as TensorFlow Serving words it.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    document = body.removeprefix(_BYTE_ORDER_MARK)
    text = document.decode("utf-8", "surrogateescape")
    try:
        with suppress(UnicodeEncodeError):  # and left before the next try: see _first_value
            return _first_value(text, _Decoder)
        return _first_value(_hidden(text), _FindingDecoder)
    except _SyntaxError as error:
        problem = _WORDS.get(error.problem, error.problem)
        if problem == "Invalid value." and _STARTS_NOTHING.fullmatch(text, 0, error.at + 1):
            problem = "The document is empty."
        before = text[: error.at].encode("utf-8", "surrogateescape")
        offset = len(body) - len(document) + len(before)
        raise invalid_argument(f"JSON Parse error: {problem} at offset: {offset}") from None


class _SyntaxError(Exception):
    """What RapidJSON says about the text, and at which of its characters."""

    def __init__(self, problem: str, at: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.at = at


class _Decoder(rapidjson.Decoder):
    start_object = list  # filled with pairs

    def end_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        return value if len(value) == len(pairs) else Members(pairs)


class _FindingDecoder(_Decoder):
    """Turns hidden surrogate escapes back."""

    def string(self, text: str) -> str:
        return text if text.isascii() else text.translate(_FOUND)

    def end_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return super().end_object([(self.string(key), value) for key, value in pairs])


def _hidden(text: str) -> str:
    """A text with its escapes hidden, by NumPy: str.translate takes four times as long."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    is_escape = (points >= _ESCAPES.start) & (points < _ESCAPES.stop)
    return (points + is_escape * np.uint32(_HIDING)).tobytes().decode("utf-32-le")


def _first_value(text: str, decoder_class: type[_Decoder]) -> Any:
    """The value at the start of a text; UnicodeEncodeError when there are surrogates in it.

    Must not run while another exception is handled: RapidJSON then says "too deep" without where.
    """
    decoder = decoder_class(number_mode=rapidjson.NM_NATIVE | rapidjson.NM_NAN)
    try:
        return decoder(text)
    except (rapidjson.JSONDecodeError, RecursionError) as error:
        offset, problem = _ERROR.fullmatch(str(error)).groups()  # type: ignore[union-attr] # its one form
    before = text.encode()[: int(offset)]
    if problem == _TRAILING_TEXT:
        return decoder(before)
    raise _SyntaxError(problem, len(before.decode()))
