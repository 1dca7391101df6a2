"""JSON as TensorFlow Serving's parser (RapidJSON 1.1.0) reads it, down to the error offsets.

Python's own parser is used first (see `documents`); this one speaks when that refuses a text, or
when the two would disagree: numbers in RapidJSON's rounding, byte strings that are not UTF-8,
repeated keys, NaN and Infinity, text after the document (ignored), the byte offset of an error.
It keeps its own stack, so no nesting depth can overflow the interpreter's.

Strings are `str` in which bytes that are not UTF-8 are surrogate escapes (PEP 383).
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from serving.core.errors import Code, ServingError
from serving.rest.numbers import NumberTooBigError, parse_number

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SPACE = re.compile(rb"[ \t\r\n]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBER_GOES_ON = frozenset(b".eE")
_HEX = re.compile(rb"[0-9A-Fa-f]{4}")
_NOT_FINITE = re.compile(rb"(-?)(?:(NaN)|Inf(?:inity)?)")
_LITERALS: dict[int, tuple[bytes, object]] = {
    ord("n"): (b"null", None),
    ord("t"): (b"true", True),
    ord("f"): (b"false", False),
}
_ESCAPES = {
    ord('"'): '"',
    ord("/"): "/",
    ord("\\"): "\\",
    ord("b"): "\b",
    ord("f"): "\f",
    ord("n"): "\n",
    ord("r"): "\r",
    ord("t"): "\t",
}
_HIGH_SURROGATES = range(0xD800, 0xDC00)
_LOW_SURROGATES = range(0xDC00, 0xE000)


class Members(dict[str, Any]):
    """A JSON object with repeated keys: a lookup finds the first, `pairs` has them all in order."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(reversed(pairs))
        self.pairs = pairs


def members(value: dict[str, Any]) -> list[tuple[str, Any]]:
    """The members of an object in the order of the text, repeated keys included."""
    return value.pairs if isinstance(value, Members) else list(value.items())


def loads(text: bytes) -> Any:
    """The first JSON value in `text`.

    Raises:
        ServingError: INVALID_ARGUMENT "JSON Parse error: ...", as TensorFlow Serving words it.
    """
    if not text:
        raise ServingError(Code.INVALID_ARGUMENT, "JSON Parse error: The document is empty")
    return _Reader(text).document()


class _Object:
    """An object being read: its finished members and the key whose value comes next."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, Any]] = []
        self.key = ""

    def value(self) -> dict[str, Any]:
        first = dict(reversed(self.pairs))
        if len(first) == len(self.pairs):
            return dict(self.pairs)
        return Members(self.pairs)


class _Reader:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = len(_BYTE_ORDER_MARK) if text.startswith(_BYTE_ORDER_MARK) else 0
        self._open: list[_Object | list[Any]] = []

    def document(self) -> Any:
        self._skip_space()
        if self._peek() == 0:
            self._fail("The document is empty.")
        while True:
            if self._opens_container():
                continue
            value = self._scalar_or_empty()
            while self._open:
                finished = self._add(value)
                if not finished:
                    break
                value = self._close()
            else:
                return value

    def _opens_container(self) -> bool:
        """Enter a list or object that has something in it; leave an empty one to the caller."""
        char = self._peek()
        if char not in b"[{":
            return False
        start = self._at
        self._at += 1
        self._skip_space()
        if self._peek() == (ord("]") if char == ord("[") else ord("}")):
            self._at = start
            return False
        if char == ord("["):
            self._open.append([])
        else:
            self._open.append(_Object())
            self._read_key()
        return True

    def _scalar_or_empty(self) -> Any:
        char = self._peek()
        if char == ord('"'):
            return self._string()
        if char in _LITERALS:
            return self._literal(*_LITERALS[char])
        if char not in b"[{":
            return self._number()
        self._at += 1
        self._skip_space()
        self._at += 1
        return [] if char == ord("[") else {}

    def _add(self, value: Any) -> bool:
        """Put a value into the innermost container; true when the container ends after it."""
        container = self._open[-1]
        is_list = isinstance(container, list)
        if isinstance(container, list):
            container.append(value)
        else:
            container.pairs.append((container.key, value))
        self._skip_space()
        char = self._peek()
        if char == ord(","):
            self._at += 1
            self._skip_space()
            if not is_list:
                self._read_key()
            return False
        if char == ord("]" if is_list else "}"):
            self._at += 1
            return True
        raise self._error(
            "Missing a comma or ']' after an array element."
            if is_list
            else "Missing a comma or '}' after an object member."
        )

    def _close(self) -> Any:
        container = self._open.pop()
        return container if isinstance(container, list) else container.value()

    def _read_key(self) -> None:
        if self._peek() != ord('"'):
            self._fail("Missing a name for object member.")
        container = self._open[-1]
        key = self._string()
        self._skip_space()
        if self._peek() != ord(":"):
            self._fail("Missing a colon after a name of object member.")
        self._at += 1
        self._skip_space()
        if isinstance(container, _Object):
            container.key = key

    def _literal(self, word: bytes, value: object) -> object:
        for char in word:
            if self._peek() != char:
                self._fail("Invalid value.")
            self._at += 1
        return value

    def _number(self) -> int | float:
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            return self._not_finite()
        end = match.end()
        if end < len(self._text) and self._text[end] in _NUMBER_GOES_ON:
            self._unfinished_number(end)
        try:
            number = parse_number(match[0])
        except NumberTooBigError:
            self._fail("Number too big to be stored in double.")
        self._at = end
        return number

    def _unfinished_number(self, end: int) -> NoReturn:
        if self._text[end] == ord("."):
            self._at = end + 1
            self._fail("Miss fraction part in number.")
        sign = self._text[end + 1 : end + 2] in (b"+", b"-")
        self._at = end + (2 if sign else 1)
        self._fail("Miss exponent in number.")

    def _not_finite(self) -> float:
        match = _NOT_FINITE.match(self._text, self._at)
        if match is None or self._text[match.end() : match.end() + 1] == b"i":
            self._at = _where_not_finite_fails(self._text, self._at)
            self._fail("Invalid value.")
        self._at = match.end()
        if match[2]:
            return float("nan")
        return float("-inf") if match[1] else float("inf")

    def _string(self) -> str:
        pieces: list[str] = []
        self._at += 1
        while True:
            match = _PLAIN.match(self._text, self._at)
            if match is not None:
                pieces.append(match[0].decode("utf-8", "surrogateescape"))
                self._at = match.end()
            char = self._peek()
            if char == ord('"'):
                self._at += 1
                return "".join(pieces)
            if char != ord("\\"):
                self._fail(
                    "Invalid escape character in string."
                    if char
                    else "Missing a closing quotation mark in string."
                )
            pieces.append(self._escape())

    def _escape(self) -> str:
        start = self._at
        char = self._peek(1)
        if char in _ESCAPES:
            self._at += 2
            return _ESCAPES[char]
        if char != ord("u"):
            self._fail("Invalid escape character in string.")
        self._at += 2
        code = self._hex(start)
        if code in _HIGH_SURROGATES:
            if self._text[self._at : self._at + 2] != b"\\u":
                self._at = start
                self._fail("The surrogate pair in string is invalid.")
            self._at += 2
            low = self._hex(start)
            if low not in _LOW_SURROGATES:
                self._at = start
                self._fail("The surrogate pair in string is invalid.")
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        # A low surrogate on its own is accepted there; its three bytes are no UTF-8.
        return chr(code).encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")

    def _hex(self, escape_start: int) -> int:
        match = _HEX.match(self._text, self._at)
        if match is None:
            self._at = escape_start
            self._fail("Incorrect hex digit after \\u escape in string.")
        self._at += 4
        return int(match[0], 16)

    def _peek(self, ahead: int = 0) -> int:
        at = self._at + ahead
        return self._text[at] if at < len(self._text) else 0

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        if match is not None:
            self._at = match.end()

    def _fail(self, message: str) -> NoReturn:
        raise self._error(message)

    def _error(self, message: str) -> ServingError:
        text = f"JSON Parse error: {message} at offset: {self._at}"
        return ServingError(Code.INVALID_ARGUMENT, text)


def _where_not_finite_fails(text: bytes, at: int) -> int:
    """The offset of the first byte that fits neither NaN, Inf nor Infinity."""
    if text[at : at + 1] == b"-":
        at += 1
    words = {b"N": b"NaN", b"I": b"Infinity"}
    word = words.get(text[at : at + 1], b"")
    fitting = 0
    while (
        fitting < len(word) and text[at + fitting : at + fitting + 1] == word[fitting : fitting + 1]
    ):
        fitting += 1
    return at + fitting
