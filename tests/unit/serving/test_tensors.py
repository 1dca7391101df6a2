"""TensorProto rules, checked against TensorFlow's own where it has one."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.tensors import array_from_proto, dtype_name, empty_array, proto_from_array, write_proto

DTYPES = [
    *(np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.complex64, np.complex128),
    *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.bool_),
]


def proto(dtype, shape, **values):
    message = tensor_pb2.TensorProto(dtype=dtype, **values)
    message.tensor_shape.SetInParent()
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 1, 2), (0, 4)])
@pytest.mark.parametrize("as_content", [False, True])
def test_every_type_survives_the_round_trip(dtype, shape, as_content):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    message = tensor_pb2.TensorProto()
    write_proto(array, message, as_content=as_content)
    assert bool(message.tensor_content) == (as_content and array.size > 0)
    back = array_from_proto(tensor_pb2.TensorProto.FromString(message.SerializeToString()))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(array, back)


@given(arrays.arrays(np.float32, arrays.array_shapes(max_dims=3), elements=st.floats(width=32)))
@settings(max_examples=50)
def test_float32_keeps_every_bit(array):
    back = array_from_proto(proto_from_array(array))
    assert back.tobytes() == array.tobytes()


def test_strings_keep_their_bytes():
    array = np.array([[b"a\0b", b""], [b"\xff", b"d"]], np.object_)
    np.testing.assert_array_equal(array, array_from_proto(proto_from_array(array)))


def test_strings_as_content_are_lengths_then_bytes():
    message = proto(types_pb2.DT_STRING, [2], tensor_content=b"\x01\x02abc")
    assert array_from_proto(message).tolist() == [b"a", b"bc"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], [0, 0, 0]), ([7], [7, 7, 7]), ([1, 2], [1, 2, 2]), ([1, 2, 3, 4], [1, 2, 3])],
)
def test_a_short_field_repeats_its_last_value(values, expected):
    assert array_from_proto(proto(types_pb2.DT_UINT8, [3], int_val=values)).tolist() == expected


def test_half_values_are_bit_patterns():
    message = proto(types_pb2.DT_BFLOAT16, [2], half_val=[16320])
    assert array_from_proto(message).tolist() == [1.5, 1.5]


def test_an_unknown_rank_does_not_count():
    message = proto(types_pb2.DT_FLOAT, [2], float_val=[1])
    message.tensor_shape.unknown_rank = True
    assert array_from_proto(message).tolist() == [1, 1]


@pytest.mark.parametrize(
    "message",
    [
        proto(types_pb2.DT_FLOAT, [1 << 62, 4, 0]),
        proto(types_pb2.DT_INVALID, [1]),
        proto(types_pb2.DT_RESOURCE, [1]),
        proto(types_pb2.DT_UINT8, [-1]),
        proto(types_pb2.DT_UINT8, [1 << 40, 192]),
        proto(types_pb2.DT_UINT8, [1 << 62, 1 << 62]),
        proto(types_pb2.DT_UINT8, [1] * 255),
        proto(types_pb2.DT_FLOAT, [2], tensor_content=b"\0" * 7),
        proto(types_pb2.DT_FLOAT, [2], tensor_content=b"\0" * 12),
        proto(types_pb2.DT_UINT8, [1], int_val=[256]),
        proto(types_pb2.DT_UINT8, [1], int_val=[-1]),
        proto(types_pb2.DT_STRING, [2], tensor_content=b"\x09a"),
        proto(types_pb2.DT_STRING, [1 << 40], string_val=[b"a"]),
    ],
    ids=lambda message: str(message)[:40].replace("\n", " "),
)
def test_unusable_messages(message):
    with pytest.raises(ValueError, match=r"dtype|shape|elements|values|value|string|buffer"):
        array_from_proto(message)


def test_arrays_without_elements():
    assert empty_array("DT_HALF", (0, 3)).dtype == np.float16
    assert empty_array("DT_STRING", (0,)).dtype == np.object_
    with pytest.raises(ValueError, match="DT_RESOURCE"):
        empty_array("DT_RESOURCE", (0,))


def test_a_type_without_a_field_is_refused():
    assert dtype_name(np.zeros(1, np.float32)) == "DT_FLOAT"
    assert not dtype_name(np.zeros(1, ml_dtypes.float8_e5m2))
    with pytest.raises(ValueError, match="float8"):
        proto_from_array(np.zeros(1, ml_dtypes.float8_e5m2))
