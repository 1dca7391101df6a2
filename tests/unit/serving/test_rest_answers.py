"""Answers: tensors to bodies, in rows and columns."""

import json

import ml_dtypes
import numpy as np
import pytest

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.rest.answers import predict_body
from serving.rest.requests import Format


def answer(layout, **outputs):
    return json.loads(predict_body(outputs, layout))


def test_rows_carry_single_outputs_bare_and_several_by_name():
    a, b = np.array([1, 2]), np.array([[1.5], [2.0]], np.float32)

    assert answer(Format.ROW, a=a) == {"predictions": [1, 2]}
    assert answer(Format.ROW, a=a, b=b) == {
        "predictions": [{"a": 1, "b": [1.5]}, {"a": 2, "b": [2.0]}]
    }


def test_columns_carry_single_outputs_bare_and_several_by_name():
    a, b = np.array(3), np.array([[True]])

    assert answer(Format.COLUMNAR, a=a) == {"outputs": 3}
    assert answer(Format.COLUMNAR, a=a, b=b) == {"outputs": {"a": 3, "b": [[True]]}}


def test_outputs_named_bytes_are_base64_and_other_strings_text():
    value = np.array([b"\xc3\xa9\x00"], object)

    assert answer(Format.ROW, s=value, s_bytes=value) == {
        "predictions": [{"s": "é\0", "s_bytes": {"b64": "w6kA"}}]
    }


@pytest.mark.parametrize("shape", [(0,), (2, 0), (2, 0, 3), (1, 2, 3), (2, 1, 1, 2)])
@pytest.mark.parametrize("layout", Format)
def test_any_shape_keeps_its_nesting(shape, layout):
    value = np.arange(np.prod(shape)).reshape(shape)

    assert [value.tolist()] == list(answer(layout, x=value).values())


def test_the_layout_is_tensorflow_servings():
    single = predict_body({"x": np.array([[1.0, 2.0]], np.float32)}, Format.ROW)
    named = predict_body({"a": np.array([1]), "b_bytes": np.array([b"x"], object)}, Format.ROW)
    column = predict_body({"x": np.array([[1.0]], np.float32)}, Format.COLUMNAR)

    assert single == b'{\n    "predictions": [[1.0, 2.0]\n    ]\n}'
    assert named == (
        b'{\n    "predictions": [\n        {\n            "a": 1,\n            "b_bytes": {\n'
        b'                "b64": "eA=="\n            }\n        }\n    ]\n}'
    )
    assert column == b'{\n    "outputs": [\n        [\n            1.0\n        ]\n    ]\n}'


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        ({"a": np.array(1)}, "Tensor name: a has no shape information "),
        (
            {"a": np.zeros(2), "b": np.zeros(3)},
            "Tensor name: b has inconsistent batch size: 3 expecting: 2",
        ),
        ({"a": np.zeros(1, np.float16)}, "Failed to write JSON value for tensor type: half"),
        (
            {"a": np.zeros(1, ml_dtypes.bfloat16)},
            "Failed to write JSON value for tensor type: bfloat16",
        ),
        ({"a": np.zeros(1, np.complex64)}, "Failed to write JSON value for tensor type: complex64"),
    ],
)
def test_outputs_without_a_json_form_are_refused(outputs, message):
    with pytest.raises(ServingError) as caught:
        predict_body(outputs, Format.ROW)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert message == caught.value.message


def test_a_large_output_reads_back_as_itself():
    values = np.random.default_rng(1).random((1, 64, 64, 3), np.float32)

    (back,) = answer(Format.ROW, x=values)["predictions"]

    assert np.array_equal(values[0], np.array(back, np.float32))
