"""Request bodies: rows, columns and base64 to tensors."""

import numpy as np
import pytest

from serving.core.errors import ServingError
from serving.rest.elements import as_bytes
from serving.rest.requests import Format, parse_predict_request
from tests.support.rest_bodies import parse, spec

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
