"""JSON values to tensors, by TensorFlow Serving's rules and with its error messages.

Values are read level by level, so that a level which is as it should be costs a few calls however
long it is. What comes first in the text is complained about first, as there.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from protocol.codes import Code
from protocol.tensors import Array, empty_array
from serving.core.errors import ServingError, invalid_argument
from serving.rest.reader import members
from serving.rest.text import encode, pretty, type_name

FLOATS: dict[str, type[np.floating[Any]]] = {"DT_FLOAT": np.float32, "DT_DOUBLE": np.float64}
INTEGERS: dict[str, type[np.integer[Any]]] = {
    "DT_INT8": np.int8,
    "DT_INT16": np.int16,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_UINT8": np.uint8,
    "DT_UINT32": np.uint32,
    "DT_UINT64": np.uint64,
}
STRING = "DT_STRING"

_EXACT: dict[str, type[np.generic]] = {**INTEGERS, "DT_BOOL": np.bool_}
_KINDS: dict[str, frozenset[type]] = {
    **dict.fromkeys(FLOATS, frozenset({int, float})),
    **dict.fromkeys(INTEGERS, frozenset({int})),
    "DT_BOOL": frozenset({bool}),
}
"""What the elements of a type may be; JSON can carry no others but strings."""
_BASE64 = re.compile(rb"([A-Za-z0-9+/]*)([=.]*)")
_BASE64_GROUP = 4
_SPACE = b" \t\n\v\f\r"


class ElementError(Exception):
    """What is wrong below one of several values."""

    def __init__(self, index: int, cause: ServingError, *, is_misfit: bool = False) -> None:
        super().__init__(index, cause)
        self.index = index
        self.cause = cause
        self.is_misfit = is_misfit
        """Whether the value has not the shape of the others: by its own it may be sound."""


def tensor(name: str, value: Any, dtype: str) -> Array:
    """A JSON value (nested lists, or a scalar) as a tensor.

    Raises:
        ServingError: where a list's length, an element's level or an element's type does not fit.
    """
    shape = _dense_shape(value)
    try:
        return _shaped(name, [value], shape, dtype).reshape(shape)
    except ElementError as error:
        raise error.cause from None


def batch(name: str, values: list[Any], dtype: str) -> Array:
    """JSON values of one shape, one or more, as the rows of a tensor.

    Raises:
        ElementError: for the first value that is no tensor, or whose shape is not the first one's.
        ServingError: for values that no tensor can hold.
    """
    shape = _dense_shape(values[0])
    try:
        return _shaped(name, values, shape, dtype)
    except ElementError as error:
        if not error.is_misfit or error.index == 0:
            raise
        cause = _misfit_by_its_own(values[error.index], shape, dtype)
        raise ElementError(error.index, cause) from None


def is_base64(value: Any) -> bool:
    """Whether a JSON value is {"b64": "..."} and nothing else."""
    return (
        isinstance(value, dict) and len(members(value)) == 1 and isinstance(value.get("b64"), str)
    )


def _decode_base64(value: dict[str, Any]) -> bytes:
    """The bytes of {"b64": "..."}, with the latitude of Abseil's decoder.

    White space is skipped, padding may be left out or be ".".

    Raises:
        ServingError: for another object, or text that is not base64.
    """
    if not is_base64(value):
        raise invalid_argument(
            f"JSON Value: {pretty(value)} not formatted correctly for base64 data"
        )
    match = _BASE64.fullmatch(encode(value["b64"]).translate(None, _SPACE))
    data, padding = match.groups() if match else (b"=", b"")
    missing = -len(data) % _BASE64_GROUP
    if match is None or missing == _BASE64_GROUP - 1 or len(padding) not in {0, missing}:
        raise invalid_argument("Unable to base64 decode")
    return binascii.a2b_base64(data + b"=" * missing)


def as_bytes(element: Any) -> bytes:
    """A JSON string, or the bytes of {"b64": "..."}; ServingError for anything else."""
    if isinstance(element, str):
        return encode(element)
    if isinstance(element, dict):
        return _decode_base64(element)
    raise _type_error(element, STRING)


def floats(values: Sequence[float], dtype: str) -> Array:
    """Numbers as an array. What is too large is infinite, what is denormal is zero, as there."""
    kind = FLOATS[dtype]
    with np.errstate(over="ignore"):
        array = np.array(values, np.float64).astype(kind)
    array[np.abs(array) < np.finfo(kind).smallest_normal] *= 0
    return array


def type_string(dtype: str) -> str:
    """TensorFlow's name of a type, from its enum name: "DT_FLOAT" is "float"."""
    return dtype.removeprefix("DT_").lower()


def _dense_shape(value: Any) -> list[int]:
    """The shape that the first element of each list announces; [] for anything but a list."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def _shaped(name: str, values: list[Any], shape: list[int], dtype: str) -> Array:
    try:
        return _flat(values, shape, dtype).reshape([len(values), *shape])
    except ValueError:  # an unknown type, or more dimensions than an array can have
        raise invalid_argument(f"tensor parsing error: {name}") from None


def _flat(values: list[Any], shape: list[int], dtype: str) -> Array:
    """The elements of several values of one shape, in row-major order.

    Raises:
        ElementError: for the first thing in the text that does not fit.
        ValueError: for a type that there are no arrays of.
    """
    nodes = values
    misfit: ElementError | None = None
    for level, size in enumerate(shape):
        at = _first_misfit(nodes, size)
        if at is not None:
            # Only something below the nodes in front of it comes before it in the text.
            index, cause = at // math.prod(shape[:level]), _misfit_error(nodes[at], level, shape)
            misfit = ElementError(index, cause, is_misfit=True)
            nodes = nodes[:at]
        nodes = list(chain.from_iterable(nodes))
    try:
        array = _array(nodes, dtype)
    except ElementError as error:
        element = nodes[error.index]
        is_list = type(element) is list
        cause = _misfit_error(element, len(shape), shape) if is_list else error.cause
        raise ElementError(error.index // math.prod(shape), cause, is_misfit=is_list) from None
    if misfit:
        raise misfit
    return array


def _first_misfit(nodes: list[Any], size: int) -> int | None:
    """Which node is the first that is no list of that size."""
    if set(map(type, nodes)) <= {list} and set(map(len, nodes)) <= {size}:
        return None
    return next(at for at, node in enumerate(nodes) if type(node) is not list or len(node) != size)


def _misfit_error(node: Any, level: int, shape: list[int]) -> ServingError:
    rank = len(shape)
    if type(node) is not list:
        return invalid_argument(
            f"JSON Value: {pretty(node)} found at incorrect level: {level + 1} "
            f"in the JSON DOM. Expected at level: {rank}"
        )
    if level == rank:
        return invalid_argument(f"Encountered list at unexpected level: {level} expected < {rank}")
    return invalid_argument(
        f"Encountered list at unexpected size: {len(node)} at level: {level} "
        f"expected size: {shape[level]}"
    )


def _misfit_by_its_own(value: Any, shape: list[int], dtype: str) -> ServingError:
    """What is wrong with a value that has not the shape that others have."""
    own = _dense_shape(value)
    try:
        count = _flat([value], own, dtype).size
    except ElementError as error:
        return error.cause
    if count != math.prod(shape):
        return invalid_argument(f"Expecting tensor size: {math.prod(shape)} but got: {count}")
    return invalid_argument(f"Expecting shape {_bracketed(shape)} but got: {_bracketed(own)}")


def _bracketed(shape: list[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _array(elements: list[Any], dtype: str) -> Array:
    """Elements as an array; ElementError for the first that is not of the type."""
    if not elements:
        return empty_array(dtype, (0,))
    if dtype == STRING:
        return _strings(elements)
    if set(map(type, elements)) <= _KINDS.get(dtype, frozenset()):
        try:
            return floats(elements, dtype) if dtype in FLOATS else np.array(elements, _EXACT[dtype])
        except OverflowError:
            pass  # TensorFlow Serving lets 8 and 16 bits wrap around; we refuse what does not fit
    at = _first_unfit(elements, dtype)
    raise ElementError(at, _type_error(elements[at], dtype))


def _first_unfit(elements: list[Any], dtype: str) -> int:
    if dtype not in INTEGERS:
        kinds = _KINDS.get(dtype, frozenset())
        return next(at for at, element in enumerate(elements) if type(element) not in kinds)
    limits = np.iinfo(INTEGERS[dtype])
    low, high = int(limits.min), int(limits.max)
    return next(
        at
        for at, element in enumerate(elements)
        if type(element) is not int or not low <= element <= high
    )


def _strings(elements: list[Any]) -> Array:
    array = np.empty(len(elements), np.object_)
    for at, element in enumerate(elements):
        try:
            array[at] = as_bytes(element)
        except ServingError as error:
            raise ElementError(at, error) from None
    return array


def _type_error(element: Any, dtype: str) -> ServingError:
    if dtype != STRING and dtype not in _KINDS and not isinstance(element, dict):
        return ServingError(
            Code.UNIMPLEMENTED,
            f"Conversion of JSON Value: {pretty(element)} to type: {type_string(dtype)}",
        )
    return invalid_argument(
        f"JSON Value: {pretty(element)} Type: {type_name(element)} "
        f"is not of expected type: {type_string(dtype)}"
    )
