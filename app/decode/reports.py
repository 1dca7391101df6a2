"""What a worker says, read with distrust: a hostile file may have taken the worker over.

So every length is bounded before its bytes are waited for, and every fact has the type and the
range that it must have; whatever has not is a `ReportError`, and the end of the worker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic_core import from_json

from app.decode.frames import REPORT, Report
from app.decode.job import Decoded

_MOST_FACTS_BYTES: Final = 65_536
_T = TypeVar("_T")


class ReportError(Exception):
    """No worker of ours would say that."""


@dataclass(frozen=True, slots=True)
class Price:
    """The file needs so much memory."""

    needed_bytes: int


@dataclass(frozen=True, slots=True)
class Result:
    """The file is decoded."""

    decoded: Decoded
    cpu_seconds_ever: float
    """What the process has used in its life."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The file is no image, or too large a one."""

    detail: str
    is_too_large: bool
    warnings: tuple[str, ...]
    cpu_seconds_ever: float


Reported = Price | Result | Refusal


def read_report(arrived: memoryview, *, most_row_bytes: int) -> Reported | None:
    """The report, once it is complete; a worker sends one and waits.

    Raises:
        ReportError: it can not become one.
    """
    if len(arrived) < REPORT.size:
        return None
    kind, facts_length, length = REPORT.unpack_from(arrived)
    if kind == Report.PRICE:
        return Price(length)
    if facts_length > _MOST_FACTS_BYTES or length > most_row_bytes:
        raise ReportError("it is too long")
    row_start = REPORT.size + facts_length
    if len(arrived) < row_start + length:
        return None
    facts = _facts(bytes(arrived[REPORT.size : row_start]))
    if kind == Report.RESULT:
        return _result(facts, bytes(arrived[row_start : row_start + length]))
    if kind == Report.REFUSED:
        return _refusal(facts)
    raise ReportError("there is no such report")


def _facts(text: bytes) -> dict[str, Any]:
    try:
        facts = from_json(text)
    except ValueError as error:
        raise ReportError("its facts are no JSON") from error
    if not isinstance(facts, dict):
        raise ReportError("its facts have no names")
    return facts


def _result(facts: dict[str, Any], row: bytes) -> Result:
    decoded = Decoded(
        row,
        _fact(facts, "format", str),
        _fact(facts, "width", int),
        _fact(facts, "height", int),
        _seconds(facts, "seconds"),
        _warnings(facts),
    )
    return Result(decoded, _seconds(facts, "cpu_seconds_ever"))


def _refusal(facts: dict[str, Any]) -> Refusal:
    return Refusal(
        _fact(facts, "detail", str),
        _fact(facts, "is_too_large", bool),
        _warnings(facts),
        _seconds(facts, "cpu_seconds_ever"),
    )


def _fact(facts: dict[str, Any], name: str, kind: type[_T]) -> _T:
    value = facts.get(name)
    if type(value) is not kind:  # a bool is an int to isinstance
        raise ReportError(f"{name} is missing or wrong")
    return value


def _seconds(facts: dict[str, Any], name: str) -> float:
    seconds = _fact(facts, name, float)
    if not 0 <= seconds < math.inf:
        raise ReportError(f"{name} is no time")
    return seconds


def _warnings(facts: dict[str, Any]) -> tuple[str, ...]:
    warnings = facts.get("warnings", [])
    if not isinstance(warnings, list) or not all(isinstance(each, str) for each in warnings):
        raise ReportError("warnings are no texts")
    return tuple(warnings)
