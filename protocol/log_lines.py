"""One line of a log, the same from all three processes: JSON for machines, columns for people.

    {"timestamp": "2026-01-31T12:00:00.123456Z", "level": "info", "event": "request", …}
    12:00:00 200 POST /classify  digits/3  seven 98.1 %  18.9 ms  127.0.0.1

Much of what is logged has come from clients: no line holds a character that would end it, or that a
terminal would obey. It needs the standard library alone.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

Format = Literal["auto", "json", "console"]
_Painter = Callable[[str, str], str]

_FIRST: Final = ("timestamp", "level", "event")
_REQUEST: Final = "request"
_REQUEST_EXTRAS: Final = (
    "problem", "detail", "reason", "path", "files", "failed", "cache", "abandoned", "warnings",
    "request_id",
)  # fmt: skip
"""What a person sees of a request besides the columns; the id only where something went wrong."""
_RESET: Final = "\x1b[0m"
_DIM: Final = "\x1b[2m"
_COLOURS: Final = {
    "debug": "\x1b[2m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[31m",
}
_OF_STATUS: Final = {2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}
_MAX_CHARACTERS: Final = 500
_CLIENT_ERROR: Final = 400


def is_console(log_format: Format, stream: TextIO) -> bool:
    """Whether people read the stream: told so, or because it is a terminal."""
    return log_format == "console" or (log_format == "auto" and stream.isatty())


def has_colours(stream: TextIO) -> bool:
    """Whether to colour it: a terminal, and nobody has set NO_COLOR (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def json_line(fields: Mapping[str, Any]) -> str:
    """The facts as one line of JSON in ASCII: when, how grave and what come first."""
    ordered = {name: fields[name] for name in _FIRST if name in fields}
    return json.dumps(ordered | dict(fields), default=str)


def console_line(fields: Mapping[str, Any], *, colours: bool) -> str:
    """The facts as one line for people, and a traceback below it."""
    painted = _paint if colours else _plain
    left = {name: value for name, value in fields.items() if value is not None}
    exception = left.pop("exception", None)
    time, level, event = (left.pop(name, "") for name in _FIRST)
    parts = [painted(_local_time(str(time)), _DIM)]
    if event == _REQUEST and "status" in left:
        parts += _request(left, painted)
    else:
        detail = left.pop("detail", None)
        said = f"{event}: {detail}" if detail is not None else str(event)
        parts += [painted(f"{level:<7}", _COLOURS.get(str(level), "")), escaped(said)]
        left.pop("logger", None)
        parts += [painted(f" {pair}", _DIM) for pair in _pairs(left)]
    line = " ".join(parts)
    if exception is None:
        return line
    return "\n".join([line, *(escaped(each, limit=None) for each in str(exception).splitlines())])


def escaped(text: str, *, limit: int | None = _MAX_CHARACTERS) -> str:
    """The text, cut short, with everything escaped that is not printed as itself."""
    if limit is not None and len(text) > limit:
        text = text[:limit] + "…"
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


class LineFormatter(logging.Formatter):
    """The same lines from the standard library's loggers."""

    def __init__(self, *, for_people: bool, colours: bool) -> None:
        super().__init__()
        self._for_people = for_people
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        fields: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return (
            console_line(fields, colours=self._colours) if self._for_people else json_line(fields)
        )


def _request(fields: dict[str, Any], painted: _Painter) -> Iterator[str]:
    """The columns of a request: those that it has, in the same order every time."""
    status = int(fields["status"])
    yield painted(str(status), _OF_STATUS.get(status // 100, ""))
    yield escaped(f"{fields.get('method', '')} {fields.get('route', '')}")
    if "model" in fields:
        yield escaped(f" {fields['model']}/{fields.get('version', '?')}")
    if "label" in fields:
        yield escaped(f" {fields['label']} {100 * fields['probability']:.1f} %")
    if "duration_ms" in fields:
        yield f" {fields['duration_ms']:.1f} ms"
    if fields.get("client"):
        yield painted(escaped(f" {fields['client']}"), _DIM)
    names = _REQUEST_EXTRAS if status >= _CLIENT_ERROR else _REQUEST_EXTRAS[:-1]
    extras = {name: fields[name] for name in names if name in fields}
    for pair in _pairs(extras):
        yield painted(f" {pair}", _DIM)


def _pairs(fields: Mapping[str, Any]) -> Iterator[str]:
    for name, value in fields.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        text = escaped(text)
        yield f"{name}={text!r}" if isinstance(value, str) and " " in text else f"{name}={text}"


def _local_time(timestamp: str) -> str:
    try:
        return f"{datetime.fromisoformat(timestamp).astimezone():%H:%M:%S}"
    except ValueError:
        return ""


def _paint(text: str, colour: str) -> str:
    return f"{colour}{text}{_RESET}" if colour else text


def _plain(text: str, _colour: str) -> str:
    return text
