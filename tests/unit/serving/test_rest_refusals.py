"""Request bodies that cannot be tensors: every way to get them wrong, and what is said of it."""

import pytest

from tests.support.rest_bodies import error

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
