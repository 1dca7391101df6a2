"""One JSON value to one tensor, by TensorFlow Serving's rules and with its error messages.

`dense` is the exact, element by element reading; `numbers_at_once` reads the common case, nested
lists of numbers, in one NumPy call and gives up (None) on anything it is not sure about.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from serving.core.errors import Code, ServingError
from serving.rest import base64text, jsontext, rapidjson
from serving.rest.dtypes import BOOL, FLOATS, INTEGERS, STRING, type_string
from serving.tensors import empty_array

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_RANK = 64  # NumPy's; a graph that wants more dimensions does not exist
_INT64_MIN = -(2**63)
_UINT64_MAX = 2**64 - 1


def invalid(message: str) -> ServingError:
    """An INVALID_ARGUMENT."""
    return ServingError(Code.INVALID_ARGUMENT, message)


def dense_shape(value: Any) -> list[int]:
    """The shape that the first element of each list announces; [] for anything but a list."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def elements(value: Any, shape: list[int], dtype: str) -> list[Any]:
    """The elements of a nested list in row-major order, as Python values that fit `dtype`.

    Raises:
        ServingError: where a list's length, an element's level or an element's type does not fit.
    """
    rank = len(shape)
    convert = _CONVERTERS.get(dtype, _unsupported)
    result: list[Any] = []
    open_lists = [iter((value,))]
    while open_lists:
        level = len(open_lists) - 1
        for item in open_lists[-1]:
            if isinstance(item, list):
                _check_list(item, level, shape)
                open_lists.append(iter(item))
                break
            if level != rank:
                raise invalid(
                    f"JSON Value: {jsontext.pretty(item)} found at incorrect level: {level + 1} "
                    f"in the JSON DOM. Expected at level: {rank}"
                )
            result.append(_object(item, dtype) if isinstance(item, dict) else convert(item, dtype))
        else:
            open_lists.pop()
    return result


def tensor(name: str, values: list[Any], shape: list[int], dtype: str) -> npt.NDArray[Any]:
    """An array of `shape` from converted elements (as many as the shape holds; extra are dropped).

    Raises:
        ServingError: for more dimensions than a tensor can have.
    """
    if len(shape) > _MAX_RANK:
        raise invalid(f"tensor parsing error: {name}")
    values = values[: math.prod(shape)]
    if dtype == STRING:
        strings = np.empty(len(values), dtype=object)
        strings[:] = values
        return strings.reshape(shape)
    if dtype in FLOATS:
        return _as_float(np.array(values, np.float64), dtype).reshape(shape)
    if dtype != BOOL and dtype not in INTEGERS:
        return _without_elements(name, shape, dtype)
    return np.array(values, np.bool_ if dtype == BOOL else INTEGERS[dtype]).reshape(shape)


def dense(name: str, value: Any, dtype: str) -> npt.NDArray[Any]:
    """A JSON value (nested lists, or a scalar) as a tensor.

    Raises:
        ServingError: as `elements` and `tensor`.
    """
    shape = dense_shape(value)
    return tensor(name, elements(value, shape, dtype), shape, dtype)


def numbers_at_once(value: Any, dtype: str) -> npt.NDArray[Any] | None:
    """A nested list of numbers as an array, or None where `dense` has to look.

    The caller makes sure that there are no strings and no booleans in it: NumPy would turn the
    former into one huge text array and the latter into numbers.
    """
    try:
        array = np.array(value)
    except (ValueError, OverflowError):  # ragged, or deeper than NumPy goes
        return None
    if dtype in FLOATS and array.dtype.kind in "iuf":
        return _as_float(array.astype(np.float64), dtype)
    if dtype not in INTEGERS or array.dtype.kind not in "iu":
        return None
    limits = np.iinfo(INTEGERS[dtype])
    if array.size and not (limits.min <= int(array.min()) and int(array.max()) <= limits.max):
        return None
    return array.astype(INTEGERS[dtype])


def _without_elements(name: str, shape: list[int], dtype: str) -> npt.NDArray[Any]:
    """An empty list is the only JSON value of the types that JSON cannot carry, half among them."""
    try:
        return empty_array(dtype, tuple(shape))
    except ValueError:
        raise invalid(f"tensor parsing error: {name}") from None


def _as_float(array: npt.NDArray[np.float64], dtype: str) -> npt.NDArray[Any]:
    with np.errstate(over="ignore"):  # 1e39 is infinity in float32, as there
        return array.astype(FLOATS[dtype])


def _check_list(item: list[Any], level: int, shape: list[int]) -> None:
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(item) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(item)} at level: {level} "
            f"expected size: {shape[level]}"
        )


def is_base64(value: Any) -> bool:
    """Whether a JSON value is {"b64": "..."} and nothing else."""
    return (
        isinstance(value, dict)
        and len(rapidjson.members(value)) == 1
        and isinstance(value.get("b64"), str)
    )


def decode_base64(value: dict[str, Any]) -> bytes:
    """The bytes of {"b64": "..."}.

    Raises:
        ServingError: for another object, or text that is not base64.
    """
    if not is_base64(value):
        raise invalid(
            f"JSON Value: {jsontext.pretty(value)} not formatted correctly for base64 data"
        )
    decoded = base64text.unescape(jsontext.encode(value["b64"]))
    if decoded is None:
        raise invalid("Unable to base64 decode")
    return decoded


def is_64_bit(value: int) -> bool:
    """Whether an int fits RapidJSON's integers; larger ones have to be read by its rounding."""
    return _INT64_MIN <= value <= _UINT64_MAX


def _object(value: dict[str, Any], dtype: str) -> bytes:
    if dtype != STRING:
        raise _type_error(value, dtype)
    return decode_base64(value)


def _type_error(value: Any, dtype: str) -> ServingError:
    return invalid(
        f"JSON Value: {jsontext.pretty(value)} Type: {jsontext.type_name(value)} "
        f"is not of expected type: {type_string(dtype)}"
    )


def _float(value: Any, dtype: str) -> float:
    if type(value) is float or (type(value) is int and is_64_bit(value)):
        return float(value)
    raise _type_error(value, dtype)


def _integer(value: Any, dtype: str) -> int:
    limits = np.iinfo(INTEGERS[dtype])
    # TensorFlow Serving lets 8 and 16 bit integers wrap around; we refuse what does not fit.
    if type(value) is int and limits.min <= value <= limits.max:
        return value
    raise _type_error(value, dtype)


def _string(value: Any, dtype: str) -> bytes:
    if isinstance(value, str):
        return jsontext.encode(value)
    raise _type_error(value, dtype)


def _bool(value: Any, dtype: str) -> bool:
    if isinstance(value, bool):
        return value
    raise _type_error(value, dtype)


def _unsupported(value: Any, dtype: str) -> Any:
    raise ServingError(
        Code.UNIMPLEMENTED,
        f"Conversion of JSON Value: {jsontext.pretty(value)} to type: {type_string(dtype)}",
    )


_CONVERTERS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(FLOATS, _float),
    **dict.fromkeys(INTEGERS, _integer),
    STRING: _string,
    BOOL: _bool,
}
