"""Request bodies: rows, columns and examples to tensors, and every way to get them wrong."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.models import TensorSpec
from serving.core.errors import ServingError
from serving.rest.elements import ElementError, as_bytes, batch, tensor
from serving.rest.requests import Format, parse_predict_request


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
    body = (
        b'{"instances": [NaN, Infinity, -Inf, 1e39, 123456789012345678901234567890, 1e-38, -1e-45]}'
    )

    values = parse(body, x="DT_FLOAT").tensors["x"]

    expected = [np.nan, np.inf, -np.inf, np.inf, float(np.float32(1.2345679e29)), 0.0, -0.0]
    assert repr(expected) == repr(values.tolist())


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
        ([5], "DT_FLOAT", "INVALID_ARGUMENT: JSON Value: [5] Is not object"),
        (
            {"instances": []},
            "DT_FLOAT",
            (
                'INVALID_ARGUMENT: JSON Value: {\n    "instances": []\n} '
                "No values in 'instances' array"
            ),
        ),
        (
            {"instances": [1], "inputs": 1},
            "DT_FLOAT",
            (
                'INVALID_ARGUMENT: JSON Value: {\n    "instances": [1],\n    "inputs": 1\n} Not '
                "formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
            ),
        ),
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
                f"{ELEMENT}INVALID_ARGUMENT: JSON Value: 18446744073709553000.0 Type: Number "
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


@pytest.mark.parametrize(
    ("key", "value", "what"), [("inputs", 1, "value/list"), ("instances", [1], "list")]
)
def test_several_inputs_need_names(key, value, what):
    message = error({key: value}, a="DT_FLOAT", b="DT_FLOAT")

    assert message.startswith(f"INVALID_ARGUMENT: {key} is a plain {what}, but expecting ")


def test_what_does_not_fit_small_integers_is_refused_not_wrapped():
    for dtype, value in (("DT_UINT8", 256), ("DT_INT8", -129), ("DT_INT16", 32768)):
        assert f"JSON Value: {value} Type: Number" in error({"instances": [value]}, x=dtype)
        assert f"JSON Value: {value} Type: Number" in error({"inputs": [0, value]}, x=dtype)


def test_a_signature_without_inputs_cannot_be_asked():
    assert "Failed to get input map for signature: DEFAULT" in error({"inputs": 1})


def test_deep_nesting_is_an_error_not_a_crash():
    for depth, message in (
        (100, "tensor parsing error: x"),
        (990, "tensor parsing error: x"),
        (200_000, "JSON Parse error: The document is nested too deep. at offset: 1014"),
    ):
        body = b'{"instances": ' + b"[" * depth + b"1" + b"]" * depth + b"}"
        assert error(body, x="DT_FLOAT") == f"INVALID_ARGUMENT: {message}"


def test_one_long_string_among_numbers_does_not_blow_up_memory():
    body = {"instances": [1] * 100_000 + ["x" * 100_000]}

    assert "element: 100000 of 'instances' list" in error(body, x="DT_FLOAT")


@pytest.mark.parametrize("form", ["row", "named row", "column", "named column"])
def test_an_image_keeps_its_pixels(form):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    value = pixels.tolist()
    body = {
        "row": {"instances": value},
        "named row": {"instances": [{"x": image} for image in value]},
        "column": {"inputs": value},
        "named column": {"signature_name": "s", "inputs": {"x": value}},
    }[form]

    assert np.array_equal(pixels, parse(body, x="DT_UINT8").tensors["x"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"a": 1, "b": "x"}, {"a": "y", "b": 1}],
            "element: 0 key: b of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"x\"",
        ),
        (
            [{"a": 1, "b": 2}, {"b": "x", "a": "y"}, {"a": 1}],
            "element: 1 key: b of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: \"x\"",
        ),
        (
            [{"a": 1, "b": 2}, {"a": 300, "c": 1}],
            "element: 1 key: a of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: 300 Type",
        ),
        ([{"a": 1, "b": 2}, {"c": 1, "a": 300}], "does not have named input: c"),
        ([{"a": 1}, {"a": 1, "b": 2}], "keys must be equal to: a,b"),
        ([{"b": 1}, {"a": [1, [2]], "b": 2}], "element: 0 of 'instances' list. JSON object: "),
        ([{"a": 1, "b": 2}, 5, {"a": "x"}], "Expecting object but got list at item 1 of input"),
        (
            [{"a": [1, 2], "b": 2}, {"a": [[1, 2]], "b": 2}, 5],
            "Error: INVALID_ARGUMENT: Expecting shape [2] but got: [1,2]",
        ),
    ],
)  # fmt: skip
def test_of_several_mistakes_the_first_in_the_text_is_named(rows, message):
    assert message in error({"instances": rows}, a="DT_UINT8", b="DT_FLOAT")


def test_a_mistake_after_a_repeated_input_is_found_in_its_row():
    body = b'{"instances": [{"a": 1, "a": 2}, {"a": "x"}]}'

    assert "element: 1 key: a of 'instances' list" in error(body, a="DT_INT32")


def test_objects_among_plain_rows_are_refused_after_what_precedes_them():
    assert "Expecting value/list but got object at item 1" in error(
        {"instances": [1, {"x": 1}]}, x="DT_FLOAT"
    )
    assert "element: 0 of 'instances' list" in error({"instances": ["y", {"x": 1}]}, x="DT_FLOAT")


def mistakes(value, shape, level=0):
    """Element by element, depth first: what is wrong with a uint8 tensor, in the order of it."""
    if isinstance(value, list):
        if level == len(shape):
            yield "unexpected level"
        elif len(value) != shape[level]:
            yield f"unexpected size: {len(value)} at level: {level}"
        else:
            for item in value:
                yield from mistakes(item, shape, level + 1)
    elif level != len(shape):
        yield f"JSON Value: {json.dumps(value)} found at incorrect level: {level + 1} "
    elif type(value) is not int or not 0 <= value <= 255:
        yield f"JSON Value: {json.dumps(value)} Type"


def announced(value):
    return [len(value), *(announced(value[0]) if value else [])] if isinstance(value, list) else []


leaves = st.integers(0, 3) | st.sampled_from([256, -1, True, None, "x"])
ragged = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=12)
regular = st.lists(
    st.lists(st.lists(leaves, min_size=2, max_size=2), min_size=2, max_size=2), max_size=3
)


@settings(max_examples=200)
@given(value=ragged | regular)
def test_a_value_becomes_its_numbers_or_the_first_thing_that_is_wrong(value):
    mistake = next(mistakes(value, announced(value)), None)
    if mistake is None:
        expected = np.array(value, np.uint8)
        array = tensor("x", value, "DT_UINT8")
        assert (expected.shape, expected.tolist()) == (array.shape, array.tolist())
        return
    with pytest.raises(ServingError) as caught:
        tensor("x", value, "DT_UINT8")
    assert mistake in caught.value.message


def first_unlike(values):
    """The index of the first value that is no tensor or has not the first one's shape, or None."""
    for index, value in enumerate(values):
        try:
            shape = tensor("x", value, "DT_UINT8").shape
        except ServingError:
            return index
        if list(shape) != announced(values[0]):
            return index
    return None


@settings(max_examples=100)
@given(values=st.lists(ragged, min_size=1, max_size=4))
def test_a_batch_is_its_values_or_the_first_of_them_that_is_wrong(values):
    unlike = first_unlike(values)
    if unlike is None:
        singles = [tensor("x", value, "DT_UINT8") for value in values]
        assert np.array_equal(np.stack(singles), batch("x", values, "DT_UINT8"))
        return
    with pytest.raises(ElementError) as caught:
        batch("x", values, "DT_UINT8")
    assert unlike == caught.value.index


def test_decimals_as_programs_print_them_become_the_same_float32():
    values = np.random.default_rng(1).standard_normal(5_000).astype(np.float32)
    body = {"instances": [float(value) for value in values]}

    assert np.array_equal(values, parse(body, x="DT_FLOAT").tensors["x"])


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (b"", b""),
        (b"YWI=", b"ab"),
        (b"YWI", b"ab"),
        (b"YWI.", b"ab"),
        (b" Y\nW I =\t", b"ab"),
        (b"YQ", b"a"),
        (b"YQ = \n=", b"a"),
        (b"+/+/", b"\xfb\xff\xbf"),
    ],
)
def test_base64_is_read_with_abseils_latitude(text, content):
    assert content == as_bytes({"b64": text.decode()})


@pytest.mark.parametrize(
    "text",
    [
        b"-_-_",
        b"Y",
        b"YWI==",
        b"YQ=",
        b"YQ==YQ==",
        b"@@@@",
        b"\x00",
        b"YWJj\x00",
        b"YWJj=",
        b"YWJj==",
        b"=",
    ],
)
def test_what_abseil_would_not_read_is_not_read(text):
    with pytest.raises(ServingError, match="Unable to base64 decode"):
        as_bytes({"b64": text.decode()})
