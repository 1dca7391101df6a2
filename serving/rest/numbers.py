"""Numbers between text and float, in the rounding and the spelling of TensorFlow Serving.

Reading follows RapidJSON 1.1.0 without its full-precision flag: fast, and up to some units in the
last place off beyond 2**53. Writing tensors takes C's "%.6g", or "%.9g" ("%.17g" for doubles)
where the former does not read back as the same number.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

_PARTS = re.compile(rb"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_INT64_MIN = -(2**63)
_UINT64_MAX = 2**64 - 1
_EXACT_DOUBLE = 2**53 - 1
_LARGEST_TIMES_TEN = 1.7976931348623157e307
_MAX_EXPONENT = 308
_MAX_DIGITS = 17
_MAX_INTEGER_DIGITS = 20
_MAX_EXPONENT_DIGITS = 9
_PLAIN_DIGITS = 21
_SHORT_DIGITS = 6


class NumberTooBigError(ValueError):
    """A number whose exponent or digits leave the range of a double."""


def parse_number(token: bytes) -> int | float:
    """A JSON number: an int within 64 bits (signed or not), else a float.

    Raises:
        NumberTooBigError: where RapidJSON refuses it.
    """
    match = _PARTS.fullmatch(token)
    if match is None:
        raise ValueError(token)
    sign, whole, fraction, exponent = match.groups()
    if fraction is None and exponent is None and len(whole) <= _PLAIN_DIGITS:
        integer = int(token)
        if _INT64_MIN <= integer <= _UINT64_MAX:
            return integer
    value = _parse_double(whole, fraction or b"", exponent, negative=bool(sign))
    return -value if sign else value


def parse_float(token: str) -> float:
    """`parse_number` for a token with a fraction or an exponent (json's `parse_float` hook)."""
    if len(token) < _MAX_DIGITS and "e" not in token and "E" not in token:
        return float(token)  # a short decimal: one correctly rounded division either way
    return float(parse_number(token.encode()))


def _parse_double(
    whole: bytes, fraction: bytes, exponent: bytes | None, *, negative: bool
) -> float:
    value, digits, at = _whole_part(whole, negative=negative)
    for char in whole[at:]:
        if value >= _LARGEST_TIMES_TEN:
            raise NumberTooBigError
        value = value * 10.0 + (char - 48)
    shift = 0
    rest = fraction
    if fraction and at == len(whole):
        value, digits, shift = _exact_fraction(int(value), digits, fraction)
        rest = fraction[-shift:] if shift else fraction
        value = float(value)
    for char in rest:
        if digits >= _MAX_DIGITS:
            break
        value = value * 10.0 + (char - 48)
        shift -= 1
        digits += value > 0.0
    return _scale(float(value), shift, exponent)


def _whole_part(whole: bytes, *, negative: bool) -> tuple[Any, int, int]:
    """The digits that fit in 64 bits: their value, how many count, where the rest starts."""
    limit = 2**63 if negative else _UINT64_MAX
    fits = min(len(whole), _MAX_INTEGER_DIGITS)
    while int(whole[:fits]) > limit:
        fits -= 1
    integer = int(whole[:fits])
    return integer if fits == len(whole) else float(integer), fits - 1, fits


def _exact_fraction(integer: int, digits: int, fraction: bytes) -> tuple[int, int, int]:
    shift = 0
    for char in fraction:
        if integer > _EXACT_DOUBLE:
            break
        integer = integer * 10 + (char - 48)
        shift -= 1
        digits += integer != 0
    return integer, digits, shift


def _scale(value: float, shift: int, exponent: bytes | None) -> float:
    power = 0 if exponent is None else _exponent(exponent)
    if power > _MAX_EXPONENT - shift:
        raise NumberTooBigError
    power += shift
    if power < -_MAX_EXPONENT:
        value /= 1e308
        power += _MAX_EXPONENT
    if power < -_MAX_EXPONENT:
        return 0.0
    return value * float(f"1e{power}") if power >= 0 else value / float(f"1e{-power}")


def _exponent(text: bytes) -> int:
    digits = text.lstrip(b"+-").lstrip(b"0") or b"0"
    # Beyond nine digits the number is zero or too big, whatever they are.
    power = int(digits) if len(digits) <= _MAX_EXPONENT_DIGITS else 10**_MAX_EXPONENT_DIGITS
    return -power if text.startswith(b"-") else power


def double_text(value: float) -> str:
    """A finite double as RapidJSON's writer spells it (in error messages): 1.0, 1e30, 1.5e-7."""
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    zeros = len(text) - len(text.rstrip("0"))
    text = text.rstrip("0")
    prefix = "-" if sign else ""
    if not text:
        return prefix + "0.0"
    return prefix + _spell(text, int(exponent) + zeros)


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


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
