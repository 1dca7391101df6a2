"""TensorProto to arrays and back; tests/contract compares with TensorFlow's own."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from protocol.messages import tensor_pb2
from protocol.tensors import (
    array_from_proto,
    dtype_name,
    empty_array,
    write_proto,
)

DTYPES = [
    *(np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.complex64, np.complex128),
    *(np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.bool_),
    *([("qint8", np.int8)], [("quint8", np.uint8)], [("qint16", np.int16)]),
    *([("quint16", np.uint16)], [("qint32", np.int32)]),
]


def proto(dtype, shape, **values):
    message = tensor_pb2.TensorProto(dtype=dtype, **values)
    message.tensor_shape.SetInParent()
    for size in shape:
        message.tensor_shape.dim.add(size=size)
    return message


def proto_from_array(array):
    message = tensor_pb2.TensorProto()
    write_proto(array, message)
    return message


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 1, 2), (0, 4)])
@pytest.mark.parametrize("as_content", [False, True])
def test_every_type_survives_the_round_trip(dtype, shape, as_content):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(np.dtype(dtype))
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


@pytest.mark.parametrize(("count", "expected"), [(2, [b"a", b"bc"]), (0, [])])
def test_strings_as_content_are_lengths_then_bytes(count, expected):
    message = proto(tensor_pb2.DT_STRING, [count], tensor_content=b"\x01\x02abc")
    assert array_from_proto(message).tolist() == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (proto(tensor_pb2.DT_FLOAT, [2], float_val=[0.5, 0.25]), [0.5, 0.25]),
        (proto(tensor_pb2.DT_DOUBLE, [2], double_val=[0.5, 0.25]), [0.5, 0.25]),
        (proto(tensor_pb2.DT_INT64, [2], int64_val=[1, -1]), [1, -1]),
        (proto(tensor_pb2.DT_HALF, [1], half_val=[0x3C00]), [1.0]),
        (proto(tensor_pb2.DT_INT32, [2], tensor_content=b"\1\0\0\0\2\0\0\0"), [1, 2]),
    ],
    ids=["float", "double", "int64", "half", "content"],
)
def test_numbers_are_read_from_whichever_field_holds_them(message, expected):
    assert array_from_proto(message).tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], [0, 0, 0]), ([7], [7, 7, 7]), ([1, 2], [1, 2, 2]), ([1, 2, 3, 4], [1, 2, 3])],
)
def test_a_short_field_repeats_its_last_value(values, expected):
    assert array_from_proto(proto(tensor_pb2.DT_UINT8, [3], int_val=values)).tolist() == expected


def test_half_values_are_bit_patterns():
    message = proto(tensor_pb2.DT_BFLOAT16, [2], half_val=[16320])
    assert array_from_proto(message).tolist() == [1.5, 1.5]


def test_an_unknown_rank_does_not_count():
    message = proto(tensor_pb2.DT_FLOAT, [2], float_val=[1])
    message.tensor_shape.unknown_rank = True
    assert array_from_proto(message).tolist() == [1, 1]


@pytest.mark.parametrize(
    "message",
    [
        proto(tensor_pb2.DT_FLOAT, [1 << 62, 4, 0]),
        proto(tensor_pb2.DT_INVALID, [1]),
        proto(tensor_pb2.DT_RESOURCE, [1]),
        proto(tensor_pb2.DT_UINT8, [-1]),
        proto(tensor_pb2.DT_UINT8, [1 << 40, 192]),
        proto(tensor_pb2.DT_UINT8, [1 << 62, 1 << 62]),
        proto(tensor_pb2.DT_UINT8, [1] * 255),
        proto(tensor_pb2.DT_UINT8, [1] * 65),
        proto(tensor_pb2.DT_FLOAT, [2], tensor_content=b"\0" * 7),
        proto(tensor_pb2.DT_FLOAT, [2], tensor_content=b"\0" * 12),
        proto(tensor_pb2.DT_UINT8, [1], int_val=[256]),
        proto(tensor_pb2.DT_UINT8, [1], int_val=[-1]),
        proto(tensor_pb2.DT_STRING, [2], tensor_content=b"\x09a"),
        proto(tensor_pb2.DT_STRING, [1 << 40], string_val=[b"a"]),
    ],
    ids=lambda message: str(message)[:40].replace("\n", " "),
)
def test_unusable_messages(message):
    with pytest.raises(ValueError, match=r"dtype|shape|elements|value|string|buffer|dimension"):
        array_from_proto(message)


@pytest.mark.parametrize(
    "message",
    [
        proto(tensor_pb2.DT_FLOAT, [1, 2], float_val=[0.5]),
        proto(tensor_pb2.DT_FLOAT, [1 << 28, 1]),
        proto(tensor_pb2.DT_STRING, [1, 2], string_val=[b"a"]),
        proto(tensor_pb2.DT_STRING, [1 << 23]),
        proto(tensor_pb2.DT_COMPLEX64, [2], scomplex_val=[0.0, 1.0, 2.0]),
    ],
    ids=lambda message: str(message)[:40].replace("\n", " "),
)
def test_who_takes_no_filled_tensors_gets_none(message):
    with pytest.raises(ValueError, match="the message does not carry the values"):
        array_from_proto(message, max_filled_bytes=0)


@pytest.mark.parametrize(
    "message",
    [
        proto(tensor_pb2.DT_FLOAT, [2], float_val=[0.5, 1.0]),
        proto(tensor_pb2.DT_STRING, [2], string_val=[b"a", b"b"]),
        proto(tensor_pb2.DT_COMPLEX64, [1], scomplex_val=[0.0, 1.0]),
        proto(tensor_pb2.DT_FLOAT, [2, 0]),
        proto(tensor_pb2.DT_STRING, [0]),
    ],
    ids=lambda message: str(message)[:40].replace("\n", " "),
)
def test_who_takes_no_filled_tensors_gets_whole_ones(message):
    whole = array_from_proto(message, max_filled_bytes=0)
    assert whole.tolist() == array_from_proto(message).tolist()


def test_a_tensor_may_have_as_many_elements_as_are_allowed():
    message = proto(tensor_pb2.DT_UINT8, [3], tensor_content=b"abc")
    assert array_from_proto(message, max_elements=3).size == 3
    with pytest.raises(ValueError, match="too many elements"):
        array_from_proto(message, max_elements=2)


def test_arrays_without_elements():
    assert empty_array("DT_HALF", (0, 3)).dtype == np.float16
    assert empty_array("DT_STRING", (0,)).dtype == np.object_
    with pytest.raises(ValueError, match="dtype 20"):
        empty_array("DT_RESOURCE", (0,))


def test_a_type_without_a_field_is_refused():
    assert dtype_name(np.zeros(1, np.float32)) == "DT_FLOAT"
    assert not dtype_name(np.zeros(1, ml_dtypes.float8_e5m2))
    with pytest.raises(ValueError, match="float8"):
        proto_from_array(np.zeros(1, ml_dtypes.float8_e5m2))
