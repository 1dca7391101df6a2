"""JSON text as TensorFlow Serving writes it: RapidJSON's pretty writer with lists on one line.

Numbers of tensors are C's "%.6g", or "%.9g" ("%.17g" for doubles) where the former does not read
back as the same number. Numbers in error messages are RapidJSON's own.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.rest.reader import members

INDENT = "    "
_MAX_QUOTED_BYTES = 256
_PLAIN_DIGITS = 21
_SHORT_DIGITS = 6
_ROUNDED_DECIMALS = 9
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


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
    """A JSON value, as error messages quote it: no further than the token that passes 256 bytes.

    A number that is not finite ends the text where it stands: the real server's writer refuses it,
    and its messages show the value cut off there.
    """
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
    if isinstance(value, float):
        return _double(value)
    return json.dumps(value, ensure_ascii=False)


def _double(value: float) -> str:
    """A finite double as RapidJSON spells it: 1.0, 1e30, 1.5e-7."""
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if abs(value) < sys.float_info.min:  # denormals count as zero there
        return f"{sign}0.0"
    digits, exponent = _grisu2(abs(value))
    return sign + _spell(digits, exponent)


def _spell(digits: str, exponent: int) -> str:
    point = len(digits) + exponent
    if exponent >= 0 and point <= _PLAIN_DIGITS:
        return f"{digits}{'0' * exponent}.0"
    if 0 < point <= _PLAIN_DIGITS:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:  # noqa: PLR2004 - RapidJSON's constant: 0.00000x at most
        return f"0.{'0' * -point}{digits}"
    if len(digits) == 1:
        return f"{digits}e{point - 1}"
    return f"{digits[0]}.{digits[1:]}e{point - 1}"


def _grisu2(value: float) -> tuple[str, int]:
    """Digits of a positive normal double and their power of ten, by Florian Loitsch's Grisu2.

    They read back as the same double, but need not be the closest such: RapidJSON 1.1.0 rounds the
    last digit only where few were needed, and writes 0.30000000000000004 with a 7 at its end.
    """
    fraction, exponent = math.frexp(value)
    mantissa = int(fraction * 2**64)
    power = 8 * (math.ceil((3 - exponent) * 0.30102999566398114 + 347) // 8) - 340
    ten, ten_exponent = _power_of_ten(power)
    shift = -(exponent + ten_exponent)
    middle, above, below = (
        (bound * ten + 2**63) >> 64
        for bound in (mantissa, mantissa + 2**10, mantissa - (2**9 if fraction == 0.5 else 2**10))  # noqa: PLR2004
    )
    above -= 1
    digits, last = _shortest(above, above - below - 1, above - middle, shift)
    return digits, last - power


def _power_of_ten(power: int) -> tuple[int, int]:
    """10**power as 64 bits, rounded, and the power of two that belongs to them."""
    exact = Fraction(10) ** power
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length() - 64
    if exact / Fraction(2) ** exponent >= 2**64:
        exponent += 1
    return round(exact / Fraction(2) ** exponent), exponent


def _shortest(above: int, delta: int, distance: int, shift: int) -> tuple[str, int]:
    """The fewest digits of a number at most `delta` below `above`, and their power of ten.

    The last digit is lowered while that comes closer to what lies `distance` below. All are in
    units of 2**-shift.
    """
    whole, part = divmod(above, 1 << shift)
    digits = str(whole)
    for power in range(len(digits) - 1, -1, -1):
        rest, unit = (whole % 10**power << shift) + part, 10**power << shift
        if rest <= delta:
            return _lowered(digits[: len(digits) - power], rest, delta, distance, unit), power
    power, unit = 0, 1 << shift
    while power == 0 or part >= delta:
        power, part, delta = power - 1, part * 10, delta * 10
        digits += str(part >> shift)
        part %= unit
    distance *= 10**-power if power > -_ROUNDED_DECIMALS else 0
    return _lowered(digits, part, delta, distance, unit), power


def _lowered(digits: str, rest: int, delta: int, distance: int, unit: int) -> str:
    last = int(digits[-1])
    while (
        rest < distance
        and delta - rest >= unit
        and (rest + unit < distance or distance - rest > rest + unit - distance)
    ):
        last -= 1
        rest += unit
    return digits[:-1] + str(last)


def float_texts(values: npt.NDArray[np.floating[Any]]) -> list[str]:
    """Each number of a flat float32 or float64 array as TensorFlow Serving writes it."""
    texts = _printf(values, _SHORT_DIGITS)
    if not texts:
        return texts
    back = np.array(texts, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        inexact = np.flatnonzero((back.astype(values.dtype) != values) & ~np.isnan(values))
        whole = np.flatnonzero((values == np.floor(values)) | ~np.isfinite(values))
    if inexact.size:
        full = 9 if values.dtype == np.float32 else 17
        for index, text in zip(inexact.tolist(), _printf(values[inexact], full), strict=True):
            texts[index] = text
    for index in whole.tolist():
        texts[index] = _whole_text(texts[index])
    return texts


def _printf(values: npt.NDArray[np.floating[Any]], digits: int) -> list[str]:
    """C's %g of every number, in one formatting call."""
    return (f"%.{digits}g " * values.size % tuple(values.tolist())).split()


def _whole_text(text: str) -> str:
    if text in _NOT_FINITE:
        return _NOT_FINITE[text]
    return text if "e" in text or "." in text else text + ".0"
