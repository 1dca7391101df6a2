"""Rows and arrays to TensorProto and back, without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from app.errors import ModelServerError
from app.model_server.wire import wire_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.model_server.base import Input, Output

_TYPE_BY_NAME: Final = {
    "uint8": wire_pb2.DT_UINT8,
    "int32": wire_pb2.DT_INT32,
    "float32": wire_pb2.DT_FLOAT,
    "string": wire_pb2.DT_STRING,
}

# DataType -> (NumPy type of tensor_content, the repeated field used when there is none)
_NUMERIC: Final[dict[int, tuple[type[np.generic], str]]] = {
    wire_pb2.DT_FLOAT: (np.float32, "float_val"),
    wire_pb2.DT_DOUBLE: (np.float64, "double_val"),
    wire_pb2.DT_INT32: (np.int32, "int_val"),
    wire_pb2.DT_INT64: (np.int64, "int64_val"),
    wire_pb2.DT_UINT8: (np.uint8, "int_val"),
    wire_pb2.DT_HALF: (np.float16, "half_val"),
}

_MAX_VALUES: Final = 1 << 28
"""A shape that announces more values than 1 GB of float32 is a broken answer, not a tensor."""


def to_proto(tensor: Input) -> wire_pb2.TensorProto:
    """One TensorProto of shape [len(rows), *row_shape]."""
    shape = wire_pb2.TensorShapeProto(
        dim=[
            wire_pb2.TensorShapeProto.Dim(size=size)
            for size in (len(tensor.rows), *tensor.row_shape)
        ]
    )
    proto = wire_pb2.TensorProto(dtype=_TYPE_BY_NAME[tensor.dtype], tensor_shape=shape)
    if tensor.dtype == "string":
        proto.string_val.extend(tensor.rows)
    else:
        proto.tensor_content = b"".join(tensor.rows)
    return proto


def from_proto(proto: wire_pb2.TensorProto) -> Output:
    """The tensor as an array, or as rows of bytes when it holds strings.

    Raises:
        ModelServerError: a type or a shape that no classifier answers with.
    """
    shape = tuple(int(dim.size) for dim in proto.tensor_shape.dim)
    if proto.dtype == wire_pb2.DT_STRING:
        return _string_rows(list(proto.string_val), shape)
    if proto.dtype not in _NUMERIC:
        raise ModelServerError(
            "the model server answered a tensor type that the gateway does not read",
            reason=f"DataType {proto.dtype}",
        )
    dtype, field = _NUMERIC[proto.dtype]
    try:
        return _array(proto, dtype, field).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise ModelServerError(
            "the model server answered a tensor whose values do not fill its shape",
            reason=f"shape {shape}",
        ) from error


def _array(
    proto: wire_pb2.TensorProto, dtype: type[np.generic], field: str
) -> np.ndarray[Any, Any]:
    if proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype=dtype)
    values = getattr(proto, field)
    if dtype is np.float16:  # half_val holds the 16 bits of each value
        return np.array(values, dtype=np.uint16).view(np.float16)
    array = np.array(values, dtype=dtype)
    total = 1
    for dim in proto.tensor_shape.dim:
        total *= int(dim.size)
    if 0 < array.size < total <= _MAX_VALUES:  # protobuf's rule: the last value repeats
        array = np.concatenate([array, np.full(total - array.size, array[-1])])
    return array


def _string_rows(values: Sequence[bytes], shape: tuple[int, ...]) -> list[list[bytes]]:
    rows = shape[0] if shape else 1
    if rows <= 0 or len(values) % rows:
        raise ModelServerError(
            "the model server answered a string tensor whose values do not fill its shape",
            reason=f"{len(values)} values, shape {shape}",
        )
    width = len(values) // rows
    return [list(values[row * width : (row + 1) * width]) for row in range(rows)]
