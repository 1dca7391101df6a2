"""Protobuf text with its places: so that one model's entry changes and the rest of a file stays.

`google.protobuf.text_format` reads values and forgets comments, order and unknown fields. This
finds where each field stands; what the values mean remains text_format's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
    |(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    |(?P<word>\[[^\]\n]*\]|[^\s{}<>\[\]:;,"'\#]+)
    |(?P<mark>[{}<>:;,])""",
    re.VERBOSE,
)
_CLOSING: Final = {"{": "}", "<": ">"}


class UnknownShapeError(Exception):
    """The text is written in a way that is not read here, though it may be valid."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `text[start:end]` is `name: value` or `name { ... }`."""

    name: str
    start: int
    end: int
    value: str = ""
    """Of a scalar, as written."""
    inside: tuple[int, int] | None = None
    """Of a message: from behind its opening brace to its closing one."""
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass(slots=True)
class _Reader:
    tokens: list[_Token]
    size: int
    position: int = field(default=0)

    def peek(self) -> _Token:
        if self.position < len(self.tokens):
            return self.tokens[self.position]
        return _Token("end", "", self.size, self.size)

    def take(self) -> _Token:
        token = self.peek()
        self.position += 1
        return token

    def take_mark(self, marks: str) -> _Token | None:
        token = self.peek()
        return self.take() if token.kind == "mark" and token.text in marks else None


def read(text: str) -> tuple[Field, ...]:
    """The fields of a message in text form.

    Raises:
        UnknownShapeError: no protobuf text, or one with lists in brackets.
    """
    reader = _Reader(_tokens(text), len(text))
    fields = _fields(reader, "")
    if reader.peek().kind != "end":
        raise UnknownShapeError(f"unexpected {reader.peek().text!r}")
    return fields


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise UnknownShapeError(f"unexpected {text[position]!r}")
        if match.lastgroup != "space":
            tokens.append(_Token(str(match.lastgroup), match[0], match.start(), match.end()))
        position = match.end()
    return tokens


def _fields(reader: _Reader, closing: str) -> tuple[Field, ...]:
    fields = []
    while reader.peek().kind == "word" and reader.peek().text != closing:
        fields.append(_field(reader))
        reader.take_mark(";,")
    return tuple(fields)


def _field(reader: _Reader) -> Field:
    name = reader.take()
    has_colon = reader.take_mark(":") is not None
    if opening := reader.take_mark("{<"):
        fields = _fields(reader, _CLOSING[opening.text])
        closing = reader.take_mark(_CLOSING[opening.text])
        if closing is None:
            raise UnknownShapeError(f"{name.text}: not closed")
        inside = (opening.end, closing.start)
        return Field(name.text, name.start, closing.end, inside=inside, fields=fields)
    value = reader.take()
    if not has_colon or value.kind not in {"word", "string"} or value.text.startswith("["):
        raise UnknownShapeError(f"{name.text}: no value")
    while value.kind == "string" and reader.peek().kind == "string":
        following = reader.take()  # adjacent strings are one
        value = _Token("string", value.text + following.text, value.start, following.end)
    return Field(name.text, name.start, value.end, value=value.text)


@dataclass(frozen=True, slots=True)
class Change:
    """`text[start:end]` becomes something else."""

    start: int
    end: int
    text: str


def apply(text: str, changes: list[Change]) -> str:
    """The text with all changes made; they must not overlap."""
    for change in sorted(changes, key=lambda change: change.start, reverse=True):
        text = text[: change.start] + change.text + text[change.end :]
    return text


def removal(text: str, gone: Field) -> Change:
    """Take a field away, with its line where it has one of its own."""
    line_start = text.rfind("\n", 0, gone.start) + 1
    line_end = text.find("\n", gone.end)
    line_end = len(text) if line_end < 0 else line_end
    is_alone = not text[line_start : gone.start].strip() and not text[gone.end : line_end].strip()
    if is_alone:
        return Change(line_start, min(line_end + 1, len(text)), "")
    end = gone.end + (text[gone.end : gone.end + 1] == " ")
    return Change(gone.start, end, "")


def insertion(text: str, anchor: Field, end_of_message: int, lines: list[str]) -> Change:
    """Put lines behind a field: below it, if it begins its line, else beside it."""
    line_start = text.rfind("\n", 0, anchor.start) + 1
    indent = text[line_start : anchor.start]
    line_end = text.find("\n", anchor.end)
    if indent.strip() or not 0 <= line_end <= end_of_message:
        return Change(anchor.end, anchor.end, "".join(f" {line}" for line in lines))
    return Change(line_end, line_end, "".join(f"\n{indent}{line}" for line in lines))
