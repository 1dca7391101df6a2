"""Predict bodies: rows and columns to tensors, and every way to get them wrong."""

import json

import ml_dtypes
import numpy as np
import pytest

from serving.core.errors import Code, ServingError
from serving.core.servable import TensorSpec
from serving.rest import documents, json_tensors, responses
from serving.rest.predict import Format, parse_predict_request


def spec(dtype):
    return TensorSpec("x:0", dtype, None)


def parse(body, **dtypes):
    inputs = {name: spec(dtype) for name, dtype in dtypes.items()}
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_predict_request(text, lambda _name: inputs)


def error(body, **dtypes):
    with pytest.raises(ServingError) as caught:
        parse(body, **dtypes)
    return str(caught.value)


ARRAYS = [
    ("DT_FLOAT", [[1, 2.5], [3, 4]], np.float32),
    ("DT_DOUBLE", [[1, 2.5], [3, 4]], np.float64),
    ("DT_INT8", [[-128, 127]], np.int8),
    ("DT_INT16", [[-32768, 32767]], np.int16),
    ("DT_INT32", [[-(2**31), 2**31 - 1]], np.int32),
    ("DT_INT64", [[-(2**63), 2**63 - 1]], np.int64),
    ("DT_UINT8", [[0, 255]], np.uint8),
    ("DT_UINT32", [[0, 2**32 - 1]], np.uint32),
    ("DT_UINT64", [[2**63, 2**64 - 1]], np.uint64),
    ("DT_BOOL", [[True, False]], np.bool_),
]


@pytest.mark.parametrize("layout", Format)
@pytest.mark.parametrize(("dtype", "value", "array_type"), ARRAYS)
def test_every_element_type_is_read_in_both_formats(layout, dtype, value, array_type):
    request = parse({layout.value: value}, x=dtype)

    assert layout is request.format
    assert array_type == request.tensors["x"].dtype
    assert value == request.tensors["x"].tolist()


def test_strings_and_base64_mix():
    request = parse({"instances": ["é", {"b64": "/wA="}]}, x="DT_STRING")

    assert request.tensors["x"].tolist() == ["é".encode(), b"\xff\x00"]


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ({"instances": [1, 2, 3]}, (3,)),
        ({"instances": [[], []]}, (2, 0)),
        ({"instances": [{"x": [[1], [2]]}]}, (1, 2, 1)),
        ({"inputs": 5}, ()),
        ({"inputs": []}, (0,)),
        ({"inputs": {"x": [[1, 2]], "ignored": "text"}}, (1, 2)),
        ({"inputs": [[[]]]}, (1, 1, 0)),
    ],
)
@pytest.mark.parametrize("dtype", ["DT_FLOAT", "DT_UINT8"])
def test_shapes_come_from_the_nesting(body, shape, dtype):
    assert shape == parse(body, x=dtype).tensors["x"].shape


def test_rows_of_named_inputs_are_batched_by_name():
    rows = [{"a": 1.5, "b": [1, 2]}, {"b": [3, 4], "a": 2}]

    request = parse({"instances": rows}, a="DT_FLOAT", b="DT_INT64")

    assert request.tensors["a"].tolist() == [1.5, 2.0]
    assert request.tensors["b"].tolist() == [[1, 2], [3, 4]]


def test_of_a_repeated_input_the_tensor_takes_the_first_values():
    body = b'{"instances": [{"a": 1, "a": 2}, {"a": 3}], "instances": 5}'

    assert parse(body, a="DT_INT32").tensors["a"].tolist() == [1, 2]


def test_numbers_that_are_not_finite_or_too_large_for_the_type_become_what_they_become_there():
    body = b'{"instances": [NaN, Infinity, -Inf, 1e39, 123456789012345678901234567890, 1e-46]}'

    values = parse(body, x="DT_FLOAT").tensors["x"]

    expected = np.array([np.nan, np.inf, -np.inf, np.inf, 1.2345679e29, 0], np.float32)
    assert np.array_equal(expected, values, equal_nan=True)


def test_doubles_are_rounded_by_rapidjson():
    value = parse(b'{"instances": [123456789.123456789, 0.1]}', x="DT_DOUBLE").tensors["x"]

    assert value.tolist() == [123456789.1234568, 0.1]


def test_the_signature_is_asked_for_by_its_name():
    asked = []

    def resolve(name):
        asked.append(name)
        return {"x": spec("DT_FLOAT")}

    request = parse_predict_request(b'{"signature_name": "s", "inputs": 1}', resolve)

    assert request.signature_name == "s"
    assert set(asked) == {"s"}


ELEMENT = "INVALID_ARGUMENT: Failed to process element: 0 of 'instances' list. Error: "


@pytest.mark.parametrize(
    ("body", "dtype", "message"),
    [
        ({}, "DT_FLOAT", "INVALID_ARGUMENT: Missing 'inputs' or 'instances' key"),
        (
            {"instances": {}},
            "DT_FLOAT",
            (
                'INVALID_ARGUMENT: JSON Value: {\n    "instances": {}\n} '
                "Expecting 'instances' to be an list/array"
            ),
        ),
        (
            {"signature_name": None, "instances": [1]},
            "DT_FLOAT",
            (
                'INVALID_ARGUMENT: JSON Value: {\n    "signature_name": null,\n'
                '    "instances": [1]\n} '
                "not formatted correctly. 'signature_name' key must be a string value."
            ),
        ),
        (
            {"instances": [True]},
            "DT_FLOAT",
            (
                f"{ELEMENT}INVALID_ARGUMENT: JSON Value: true Type: True is not of expected type: "
                "float"
            ),
        ),
        (
            {"instances": [1.5]},
            "DT_UINT64",
            (
                f"{ELEMENT}INVALID_ARGUMENT: JSON Value: 1.5 Type: Number is not of expected type: "
                "uint64"
            ),
        ),
        (
            {"instances": [-1]},
            "DT_UINT32",
            (
                f"{ELEMENT}INVALID_ARGUMENT: JSON Value: -1 Type: Number is not of expected type: "
                "uint32"
            ),
        ),
        (
            {"instances": [2**64]},
            "DT_UINT64",
            (
                f"{ELEMENT}INVALID_ARGUMENT: JSON Value: 18446744073709552000.0 Type: Number "
                "is not of expected type: uint64"
            ),
        ),
        (
            {"instances": [1]},
            "DT_BOOL",
            f"{ELEMENT}INVALID_ARGUMENT: JSON Value: 1 Type: Number is not of expected type: bool",
        ),
        (
            {"instances": [None]},
            "DT_STRING",
            (
                f"{ELEMENT}INVALID_ARGUMENT: JSON Value: null Type: Null is not of expected type: "
                "string"
            ),
        ),
        (
            {"instances": [[{"b64": "YQ==", "x": 1}]]},
            "DT_STRING",
            (
                f'{ELEMENT}INVALID_ARGUMENT: JSON Value: {{\n    "b64": "YQ==",\n    "x": 1\n}} '
                "not formatted correctly for base64 data"
            ),
        ),
        (
            {"instances": [1]},
            "DT_HALF",
            f"{ELEMENT}UNIMPLEMENTED: Conversion of JSON Value: 1 to type: half",
        ),
        (
            {"inputs": 1},
            "DT_UINT16",
            "UNIMPLEMENTED: Conversion of JSON Value: 1 to type: uint16",
        ),
        (
            {"instances": [[1, 2], [3]]},
            "DT_FLOAT",
            (
                "INVALID_ARGUMENT: Failed to process element: 1 of 'instances' list. Error: "
                "INVALID_ARGUMENT: Expecting tensor size: 2 but got: 1"
            ),
        ),
        (
            {"instances": [[[1, 2]], [[1], [2]]]},
            "DT_FLOAT",
            (
                "INVALID_ARGUMENT: Failed to process element: 1 of 'instances' list. Error: "
                "INVALID_ARGUMENT: Expecting shape [1,2] but got: [2,1]"
            ),
        ),
        (
            {"inputs": [1, [2]]},
            "DT_FLOAT",
            "INVALID_ARGUMENT: Encountered list at unexpected level: 1 expected < 1",
        ),
        (
            {"inputs": [[1], 2]},
            "DT_FLOAT",
            (
                "INVALID_ARGUMENT: JSON Value: 2 found at incorrect level: 2 in the JSON DOM. "
                "Expected at level: 2"
            ),
        ),
        (
            {"inputs": {"y": 1}},
            "DT_FLOAT",
            "INVALID_ARGUMENT: Missing named input: x in 'inputs' object.",
        ),
    ],
)
def test_a_wrong_value_is_named(body, dtype, message):
    assert message == error(body, x=dtype)


def test_what_does_not_fit_small_integers_is_refused_not_wrapped():
    for dtype, value in (("DT_UINT8", 256), ("DT_INT8", -129), ("DT_INT16", 32768)):
        assert f"JSON Value: {value} Type: Number" in error({"instances": [value]}, x=dtype)
        assert f"JSON Value: {value} Type: Number" in error({"inputs": [0, value]}, x=dtype)


def test_a_signature_without_inputs_cannot_be_asked():
    assert "Failed to get input map for signature: DEFAULT" in error({"inputs": 1})


def test_deep_nesting_is_an_error_not_a_crash():
    for depth in (100, 5_000, 200_000):
        body = b'{"instances": ' + b"[" * depth + b"1" + b"]" * depth + b"}"
        assert error(body, x="DT_FLOAT") == "INVALID_ARGUMENT: tensor parsing error: x"


def test_one_long_string_among_numbers_does_not_blow_up_memory():
    body = {"instances": [1] * 100_000 + ["x" * 100_000]}

    assert "element: 100000 of 'instances' list" in error(body, x="DT_FLOAT")


def test_an_image_is_read_without_looking_at_each_element(monkeypatch):
    def refuse(*_arguments):
        raise AssertionError("slow")

    monkeypatch.setattr(json_tensors, "elements", refuse)
    monkeypatch.setattr(documents, "read_exactly", refuse)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)

    for body in (
        {"instances": pixels.tolist()},
        {"instances": [{"x": image} for image in pixels.tolist()]},
        {"inputs": pixels.tolist()},
        {"signature_name": "s", "inputs": {"x": pixels.tolist()}},
    ):
        assert np.array_equal(pixels, parse(body, x="DT_UINT8").tensors["x"])


def answer(layout, **outputs):
    return json.loads(responses.predict_body(outputs, layout))


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
    single = responses.predict_body({"x": np.array([[1.0, 2.0]], np.float32)}, Format.ROW)
    named = responses.predict_body(
        {"a": np.array([1]), "b_bytes": np.array([b"x"], object)}, Format.ROW
    )
    column = responses.predict_body({"x": np.array([[1.0]], np.float32)}, Format.COLUMNAR)

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
        responses.predict_body(outputs, Format.ROW)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert message == caught.value.message


def test_a_large_output_reads_back_as_itself():
    values = np.random.default_rng(1).random((1, 64, 64, 3), np.float32)

    (back,) = answer(Format.ROW, x=values)["predictions"]

    assert np.array_equal(values[0], np.array(back, np.float32))
