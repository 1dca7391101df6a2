"""Requests that are written by hand, read by protobuf's parser."""

from __future__ import annotations

import numpy as np
import pytest

from protocol.client import Input
from protocol.messages import inference_pb2
from protocol.models import ModelSpec
from protocol.predict_request import predict_request
from protocol.tensors import array_from_proto
from protocol.wire import read_model_spec

SPECS = [
    ModelSpec("m"),
    ModelSpec("m", version=0, signature_name="top_k"),
    ModelSpec("ä", version_label="canary"),
]


def read(data):
    return inference_pb2.PredictRequest.FromString(data)


@pytest.mark.parametrize("spec", SPECS)
def test_it_asks_what_was_asked(spec):
    tensor = Input("x", "uint8", (2, 3), [bytes(range(6)), bytes(range(6, 12))])
    request = read(predict_request(spec, tensor, ("labels", "scores")))
    assert read_model_spec(request.model_spec) == spec
    assert list(request.output_filter) == ["labels", "scores"]
    assert list(request.inputs) == ["x"]
    values = array_from_proto(request.inputs["x"])
    np.testing.assert_array_equal(values, np.arange(12, dtype=np.uint8).reshape(2, 2, 3))


@pytest.mark.parametrize("rows", [1, 3, 128])
@pytest.mark.parametrize("row_bytes", [0, 1, 120, 127, 128, 16_384, 150_528])
def test_lengths_of_any_size_are_told(rows, row_bytes):
    wanted = [bytes([number]) * row_bytes for number in range(rows)]
    numbers = Input("images", "uint8", (row_bytes,), wanted)
    request = read(predict_request(ModelSpec("m"), numbers, ()))
    values = array_from_proto(request.inputs["images"])
    assert values.shape == (rows, row_bytes)
    assert [row.tobytes() for row in values] == wanted
    strings = Input("pixels", "string", (), wanted)
    request = read(predict_request(ModelSpec("m"), strings, ()))
    assert array_from_proto(request.inputs["pixels"]).tolist() == wanted


def test_what_is_kept_of_one_request_is_not_used_for_another():
    first = Input("x", "float32", (1,), [np.float32(1).tobytes()])
    second = Input("x", "int32", (1,), [np.int32(2).tobytes()])
    values = [
        array_from_proto(read(predict_request(ModelSpec("m"), each, ())).inputs["x"])
        for each in (first, second, first)
    ]
    assert [each.tolist() for each in values] == [[[1.0]], [[2]], [[1.0]]]


def test_a_type_that_messages_have_no_field_for_is_refused():
    with pytest.raises(ValueError, match="float8"):
        predict_request(ModelSpec("m"), Input("x", "float8_e5m2", (1,), [b"a"]), ())
