"""TensorProto to array and back, with the rules of TensorFlow's Tensor::FromProto and AsProtoField.

Values come as raw little-endian `tensor_content` or as a typed field; a typed field that is too
short repeats its last value, an empty one means zeros. Answers use the typed fields, as
TensorFlow Serving does unless `--enable_serialization_as_tensor_content` is set.
"""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from tensorflow.core.framework import tensor_pb2, types_pb2

Array = npt.NDArray[Any]

_MAX_RANK = 254
_MAX_COUNT = 1 << 63
_CONTINUED = 0x80  # the bit of a varint's byte that says: more follow
_MAX_FILLED_BYTES = 64 << 20
"""How large a tensor may become whose values the message does not carry: a few bytes of request
must not claim gigabytes."""

_FIELDS: dict[int, tuple[type[Any], str]] = {
    types_pb2.DT_FLOAT: (np.float32, "float_val"),
    types_pb2.DT_DOUBLE: (np.float64, "double_val"),
    types_pb2.DT_INT32: (np.int32, "int_val"),
    types_pb2.DT_INT16: (np.int16, "int_val"),
    types_pb2.DT_INT8: (np.int8, "int_val"),
    types_pb2.DT_UINT8: (np.uint8, "int_val"),
    types_pb2.DT_UINT16: (np.uint16, "int_val"),
    types_pb2.DT_UINT32: (np.uint32, "uint32_val"),
    types_pb2.DT_UINT64: (np.uint64, "uint64_val"),
    types_pb2.DT_INT64: (np.int64, "int64_val"),
    types_pb2.DT_BOOL: (np.bool_, "bool_val"),
    types_pb2.DT_HALF: (np.float16, "half_val"),
    types_pb2.DT_BFLOAT16: (ml_dtypes.bfloat16, "half_val"),
    types_pb2.DT_COMPLEX64: (np.complex64, "scomplex_val"),
    types_pb2.DT_COMPLEX128: (np.complex128, "dcomplex_val"),
    types_pb2.DT_STRING: (np.object_, "string_val"),
}
_ENUMS = {np.dtype(kind): enum for enum, (kind, _) in _FIELDS.items()}

# How a typed field's numbers lie in memory where that is not the tensor's own type.
_CARRIERS: dict[int, np.dtype[Any]] = {
    types_pb2.DT_HALF: np.dtype(np.uint16),
    types_pb2.DT_BFLOAT16: np.dtype(np.uint16),
    types_pb2.DT_COMPLEX64: np.dtype(np.float32),
    types_pb2.DT_COMPLEX128: np.dtype(np.float64),
}

# Packed fixed-width fields are their bytes on the wire: key (number << 3 | 2), length, values.
_PACKED_KEYS = {
    types_pb2.DT_FLOAT: tensor_pb2.TensorProto.FLOAT_VAL_FIELD_NUMBER << 3 | 2,
    types_pb2.DT_DOUBLE: tensor_pb2.TensorProto.DOUBLE_VAL_FIELD_NUMBER << 3 | 2,
    types_pb2.DT_BOOL: tensor_pb2.TensorProto.BOOL_VAL_FIELD_NUMBER << 3 | 2,
}


def array_from_proto(proto: tensor_pb2.TensorProto) -> Array:
    """The tensor as an array (read-only where it shares the message's bytes).

    Raises:
        ValueError: unusable dtype, shape or values.
    """
    if proto.dtype not in _FIELDS:
        raise ValueError(f"dtype {proto.dtype}")
    shape = _shape(proto)
    count = math.prod(shape)
    if proto.dtype == types_pb2.DT_STRING:
        return _strings(proto, shape, count)
    dtype = np.dtype(_FIELDS[proto.dtype][0])
    if proto.tensor_content and count:
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    _check_filled_size(count, dtype.itemsize)
    return _typed_values(proto, count, dtype).reshape(shape)


def write_proto(array: Array, proto: tensor_pb2.TensorProto, *, as_content: bool = False) -> None:
    """Fill an empty message with the array; strings always use their typed field.

    Raises:
        ValueError: a type that TensorProto has no field for.
    """
    if array.dtype not in _ENUMS:
        raise ValueError(f"dtype {array.dtype}")
    proto.dtype = _ENUMS[array.dtype]
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype == np.object_:
        proto.string_val.extend(array.ravel().tolist())
    elif as_content:
        proto.tensor_content = array.tobytes()
    elif array.size:
        _fill_typed_field(proto, array)


def proto_from_array(array: Array) -> tensor_pb2.TensorProto:
    """The array as a new message; see write_proto."""
    proto = tensor_pb2.TensorProto()
    write_proto(array, proto)
    return proto


def empty_array(dtype: str, shape: tuple[int, ...]) -> Array:
    """An array without elements of the type with TensorFlow's name `dtype` ("DT_HALF").

    Raises:
        ValueError: a type that there are no arrays of.
    """
    enum = types_pb2.DataType.Value(dtype)
    if enum not in _FIELDS:
        raise ValueError(f"dtype {dtype}")
    return np.zeros(shape, _FIELDS[enum][0])


def dtype_name(array: Array) -> str:
    """TensorFlow's name of the array's type, "" when it has none here."""
    return types_pb2.DataType.Name(_ENUMS[array.dtype]) if array.dtype in _ENUMS else ""


def _shape(proto: tensor_pb2.TensorProto) -> tuple[int, ...]:
    """The dimensions; `unknown_rank` does not count, as in TensorFlow."""
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if len(shape) > _MAX_RANK or any(size < 0 for size in shape):
        raise ValueError("shape is not fully defined")
    if any(count >= _MAX_COUNT for count in itertools.accumulate(shape, operator.mul)):
        raise ValueError("too many elements")
    return shape


def _check_filled_size(count: int, itemsize: int) -> None:
    if count * itemsize > _MAX_FILLED_BYTES:
        raise ValueError("the message does not carry the values of so large a tensor")


def _strings(proto: tensor_pb2.TensorProto, shape: tuple[int, ...], count: int) -> Array:
    values = (
        _split_strings(proto.tensor_content, count) if proto.tensor_content else proto.string_val
    )
    _check_filled_size(count - min(count, len(values)), np.dtype(np.object_).itemsize)
    filler = values[-1] if values else b""
    array = np.full(count, filler, np.object_)
    known = list(values[:count])
    array[: len(known)] = known
    return array.reshape(shape)


def _split_strings(content: bytes, count: int) -> list[bytes]:
    """Strings in tensor_content: `count` varint lengths, then the bytes of all."""
    lengths, position = [], 0
    for _ in range(count):
        length, position = _read_varint(content, position)
        lengths.append(length)
    strings = []
    for length in lengths:
        strings.append(content[position : position + length])
        position += length
    if position != len(content):
        raise ValueError("string lengths do not add up")
    return strings


def _read_varint(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if position >= len(content):
            break
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < _CONTINUED:
            return value, position
    raise ValueError("truncated string length")


def _typed_values(proto: tensor_pb2.TensorProto, count: int, dtype: np.dtype[Any]) -> Array:
    carrier = _CARRIERS.get(proto.dtype, dtype)
    per_element = dtype.itemsize // carrier.itemsize
    field = getattr(proto, _FIELDS[proto.dtype][1])
    try:
        # NumPy refuses a value that the type cannot hold; TensorFlow would let it wrap around.
        known = np.array(field[: count * per_element], carrier).view(dtype)
    except OverflowError as error:
        raise ValueError("a value does not fit the type") from error
    if known.size >= count:
        return known
    values = np.zeros(count, dtype)
    values[: known.size] = known
    if known.size:
        values[known.size :] = known[-1]
    return values


def _fill_typed_field(proto: tensor_pb2.TensorProto, array: Array) -> None:
    key = _PACKED_KEYS.get(proto.dtype)
    if key is not None:
        content = array.tobytes()
        proto.MergeFromString(_varint(key) + _varint(len(content)) + content)
        return
    carrier = _CARRIERS.get(proto.dtype, array.dtype)
    values = np.ascontiguousarray(array).reshape(-1).view(carrier)
    getattr(proto, _FIELDS[proto.dtype][1]).extend(values.tolist())


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= _CONTINUED:
        encoded.append(value & 0x7F | _CONTINUED)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
