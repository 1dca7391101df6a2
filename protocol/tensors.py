"""TensorProto to array and back, with the rules of TensorFlow's Tensor::FromProto and AsProtoField.

Values come as raw little-endian `tensor_content` or as a typed field; a typed field that is too
short repeats its last value, an empty one means zeros. Answers use the typed fields, as
TensorFlow Serving does unless `--enable_serialization_as_tensor_content` is set.

Strings are object arrays of bytes, quantized integers structures of one field with the type's name
(as TensorFlow has them in NumPy). bfloat16 is a type of ml_dtypes, which comes with TensorFlow:
where it is not installed, such tensors are refused.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from protocol.messages import tensor_pb2

Array = npt.NDArray[Any]

_MAX_RANK = 254
_QUANTIZED = ("qint", "quint")
_MAX_COUNT = 1 << 63
_CONTINUED = 0x80  # the bit of a varint's byte that says: more follow
_MAX_FILLED_BYTES = 64 << 20
"""How large a tensor may become whose values the message does not carry: a few bytes of request
must not claim gigabytes."""

_FIELDS: dict[tensor_pb2.DataType, tuple[str, str]] = {
    tensor_pb2.DT_FLOAT: ("float32", "float_val"),
    tensor_pb2.DT_DOUBLE: ("float64", "double_val"),
    tensor_pb2.DT_INT32: ("int32", "int_val"),
    tensor_pb2.DT_INT16: ("int16", "int_val"),
    tensor_pb2.DT_INT8: ("int8", "int_val"),
    tensor_pb2.DT_UINT8: ("uint8", "int_val"),
    tensor_pb2.DT_UINT16: ("uint16", "int_val"),
    tensor_pb2.DT_UINT32: ("uint32", "uint32_val"),
    tensor_pb2.DT_UINT64: ("uint64", "uint64_val"),
    tensor_pb2.DT_INT64: ("int64", "int64_val"),
    tensor_pb2.DT_BOOL: ("bool", "bool_val"),
    tensor_pb2.DT_HALF: ("float16", "half_val"),
    tensor_pb2.DT_BFLOAT16: ("bfloat16", "half_val"),
    tensor_pb2.DT_COMPLEX64: ("complex64", "scomplex_val"),
    tensor_pb2.DT_COMPLEX128: ("complex128", "dcomplex_val"),
    tensor_pb2.DT_STRING: ("object", "string_val"),
    tensor_pb2.DT_QINT8: ("qint8", "int_val"),
    tensor_pb2.DT_QUINT8: ("quint8", "int_val"),
    tensor_pb2.DT_QINT16: ("qint16", "int_val"),
    tensor_pb2.DT_QUINT16: ("quint16", "int_val"),
    tensor_pb2.DT_QINT32: ("qint32", "int_val"),
}
"""DataType to NumPy's name of the type and the typed field."""
_ENUMS = {name: enum for enum, (name, _) in _FIELDS.items()}
_ENUMS["string"] = tensor_pb2.DT_STRING

# How a typed field's numbers lie in memory where that is not the tensor's own type.
_CARRIERS: dict[tensor_pb2.DataType, np.dtype[Any]] = {
    tensor_pb2.DT_HALF: np.dtype(np.uint16),
    tensor_pb2.DT_BFLOAT16: np.dtype(np.uint16),
    tensor_pb2.DT_COMPLEX64: np.dtype(np.float32),
    tensor_pb2.DT_COMPLEX128: np.dtype(np.float64),
    tensor_pb2.DT_QINT8: np.dtype(np.int8),
    tensor_pb2.DT_QUINT8: np.dtype(np.uint8),
    tensor_pb2.DT_QINT16: np.dtype(np.int16),
    tensor_pb2.DT_QUINT16: np.dtype(np.uint16),
    tensor_pb2.DT_QINT32: np.dtype(np.int32),
}

# Packed fixed-width fields are their bytes on the wire: key (number << 3 | 2), length, values.
_PACKED_KEYS = {
    tensor_pb2.DT_FLOAT: tensor_pb2.TensorProto.FLOAT_VAL_FIELD_NUMBER << 3 | 2,
    tensor_pb2.DT_DOUBLE: tensor_pb2.TensorProto.DOUBLE_VAL_FIELD_NUMBER << 3 | 2,
    tensor_pb2.DT_BOOL: tensor_pb2.TensorProto.BOOL_VAL_FIELD_NUMBER << 3 | 2,
}


def array_from_proto(
    proto: tensor_pb2.TensorProto,
    *,
    max_filled_bytes: int = _MAX_FILLED_BYTES,
    max_elements: int = _MAX_COUNT,
) -> Array:
    """The tensor as an array (read-only where it shares the message's bytes).

    Args:
        proto: the message.
        max_filled_bytes: how large it may be if the message does not carry all of its values; 0
            where there is no reason to leave some out.
        max_elements: how many it may have. A million numbers in a message take 0.1 s to read.

    Raises:
        ValueError: unusable dtype, shape or values.
    """
    dtype = _numpy_type(proto.dtype)
    shape = _shape(proto)
    count = math.prod(shape)
    if count > max_elements:
        raise ValueError("too many elements")
    if proto.dtype == tensor_pb2.DT_STRING:
        return _strings(proto, count, max_filled_bytes).reshape(shape)
    if proto.tensor_content and count:
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    return _typed_values(proto, count, dtype, max_filled_bytes).reshape(shape)


def write_proto(array: Array, proto: tensor_pb2.TensorProto, *, as_content: bool = False) -> None:
    """Fill an empty message with the array; strings always use their typed field.

    Raises:
        ValueError: a type that TensorProto has no field for.
    """
    write_type(_type_name(array.dtype), array.shape, proto)
    if array.dtype == np.object_:
        proto.string_val.extend(array.ravel().tolist())
    elif as_content:
        proto.tensor_content = array.tobytes()
    elif array.size:
        _fill_typed_field(proto, array)


def empty_array(dtype: str, shape: tuple[int, ...]) -> Array:
    """An array without elements of the type with TensorFlow's name `dtype` ("DT_HALF").

    Raises:
        ValueError: a type that there are no arrays of.
    """
    return np.zeros(shape, _numpy_type(getattr(tensor_pb2, dtype, tensor_pb2.DT_INVALID)))


def dtype_name(array: Array) -> str:
    """TensorFlow's name of the array's type, "" when it has none here."""
    enum = _ENUMS.get(_type_name(array.dtype))
    return "" if enum is None else tensor_pb2.DataType.Name(enum)


def _type_name(dtype: np.dtype[Any]) -> str:
    return dtype.names[0] if dtype.names else dtype.name


def write_type(dtype: str, shape: Sequence[int], proto: tensor_pb2.TensorProto) -> None:
    """Say what an empty message is to hold; `dtype` is NumPy's name of the type, or "string".

    Raises:
        ValueError: a type that TensorProto has no field for.
    """
    if dtype not in _ENUMS:
        raise ValueError(f"dtype {dtype}")
    proto.dtype = _ENUMS[dtype]
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)


@functools.cache
def _numpy_type(enum: tensor_pb2.DataType) -> np.dtype[Any]:
    if enum not in _FIELDS:
        raise ValueError(f"dtype {enum}")
    name = _FIELDS[enum][0]
    if name.startswith(_QUANTIZED):
        return np.dtype([(name, _CARRIERS[enum])])
    if enum != tensor_pb2.DT_BFLOAT16:
        return np.dtype(name)
    try:
        bfloat16: np.dtype[Any] = np.dtype(importlib.import_module("ml_dtypes").bfloat16)
    except ImportError as error:
        raise ValueError("bfloat16 needs the package ml_dtypes") from error
    return bfloat16


def _shape(proto: tensor_pb2.TensorProto) -> tuple[int, ...]:
    """The dimensions; `unknown_rank` does not count, as in TensorFlow."""
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if len(shape) > _MAX_RANK or any(size < 0 for size in shape):
        raise ValueError("shape is not fully defined")
    if any(count >= _MAX_COUNT for count in itertools.accumulate(shape, operator.mul)):
        raise ValueError("too many elements")
    return shape


def _check_filled_size(count: int, carried: int, itemsize: int, limit: int) -> None:
    if carried < count and count * itemsize > limit:
        raise ValueError("the message does not carry the values of so large a tensor")


def _strings(proto: tensor_pb2.TensorProto, count: int, max_filled_bytes: int) -> Array:
    content = proto.tensor_content
    values = _split_strings(content, count) if content and count else proto.string_val
    _check_filled_size(count, len(values), np.dtype(np.object_).itemsize, max_filled_bytes)
    filler = values[-1] if values else b""
    array = np.full(count, filler, np.object_)
    known = list(values[:count])
    array[: len(known)] = known
    return array


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


def _typed_values(
    proto: tensor_pb2.TensorProto, count: int, dtype: np.dtype[Any], max_filled_bytes: int
) -> Array:
    carrier = _CARRIERS.get(proto.dtype, dtype)
    per_element = dtype.itemsize // carrier.itemsize
    field = getattr(proto, _FIELDS[proto.dtype][1])
    _check_filled_size(count, len(field) // per_element, dtype.itemsize, max_filled_bytes)
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
        proto.MergeFromString(varint(key) + varint(len(content)) + content)
        return
    carrier = _CARRIERS.get(proto.dtype, array.dtype)
    values = np.ascontiguousarray(array).reshape(-1).view(carrier)
    getattr(proto, _FIELDS[proto.dtype][1]).extend(values.tolist())


def varint(value: int) -> bytes:
    """A number as protobuf writes it, lowest seven bits first."""
    encoded = bytearray()
    while value >= _CONTINUED:
        encoded.append(value & 0x7F | _CONTINUED)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
