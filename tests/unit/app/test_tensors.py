"""TensorProto to arrays and back."""

from __future__ import annotations

import numpy as np
import pytest

from app.errors import ModelServerError
from app.model_server.base import Input
from app.model_server.tensors import from_proto, to_proto
from app.model_server.wire import wire_pb2


def proto(dtype, shape, **values):
    dims = [wire_pb2.TensorShapeProto.Dim(size=size) for size in shape]
    return wire_pb2.TensorProto(
        dtype=dtype, tensor_shape=wire_pb2.TensorShapeProto(dim=dims), **values
    )


def test_rows_become_one_tensor():
    rows = [bytes(range(12)), bytes(range(12, 24))]
    there = to_proto(Input("images", "uint8", (2, 2, 3), rows))
    assert [dim.size for dim in there.tensor_shape.dim] == [2, 2, 2, 3]
    np.testing.assert_array_equal(from_proto(there), np.arange(24).reshape(2, 2, 2, 3))


def test_strings_become_rows():
    there = to_proto(Input("pixels", "string", (), [b"ab", b"\xff"]))
    assert from_proto(there) == [[b"ab"], [b"\xff"]]
    labels = proto(wire_pb2.DT_STRING, (2, 2), string_val=[b"a", b"b", b"c", b"d"])
    assert from_proto(labels) == [[b"a", b"b"], [b"c", b"d"]]


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (proto(wire_pb2.DT_FLOAT, (2,), float_val=[0.5, 0.25]), [0.5, 0.25]),
        (proto(wire_pb2.DT_DOUBLE, (2,), double_val=[0.5, 0.25]), [0.5, 0.25]),
        (proto(wire_pb2.DT_INT64, (2,), int64_val=[1, -1]), [1, -1]),
        (proto(wire_pb2.DT_HALF, (1,), half_val=[0x3C00]), [1.0]),
        (proto(wire_pb2.DT_FLOAT, (3,), float_val=[0.5]), [0.5, 0.5, 0.5]),
        (proto(wire_pb2.DT_INT32, (2,), tensor_content=b"\1\0\0\0\2\0\0\0"), [1, 2]),
    ],
    ids=["float", "double", "int64", "half", "last value repeats", "content"],
)
def test_numbers_are_read_from_whichever_field_holds_them(tensor, expected):
    np.testing.assert_array_equal(from_proto(tensor), expected)


@pytest.mark.parametrize(
    "tensor",
    [
        proto(wire_pb2.DT_FLOAT, (3,), float_val=[0.5] * 4),
        proto(wire_pb2.DT_FLOAT, (3,), tensor_content=b"12345"),
        proto(wire_pb2.DT_FLOAT, (1 << 40,), float_val=[1.0]),
        proto(wire_pb2.DT_STRING, (2, 2), string_val=[b"a"] * 3),
        proto(wire_pb2.DT_STRING, (0,)),
        proto(wire_pb2.DT_INVALID, (1,)),
    ],
    ids=["too many", "odd bytes", "huge", "strings do not fill", "no rows", "unknown type"],
)
def test_broken_answers_are_refused(tensor):
    with pytest.raises(ModelServerError):
        from_proto(tensor)
