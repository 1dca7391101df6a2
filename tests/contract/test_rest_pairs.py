"""Every recorded REST answer of tensorflow_model_server 2.20.0, against the server under test."""

import base64
import json
import math
from pathlib import Path

import pytest

from tests.support.raw_http import exchange, request_bytes

PAIRS = [
    json.loads(line)
    for name in ("rest.jsonl", "rest-fuzz.jsonl")
    for line in (Path(__file__).parent / "data" / name).read_text().splitlines()
]

# Where the embedded server answers otherwise, on purpose: id -> (reason, our answer). They are not
# checked against a real server.
DIFFERENCES = {
    "rest-131": (
        "a body nested deeper than 1,000 levels is refused there, whatever follows",
        400,
        "JSON Parse error: The document is nested too deep. at offset: 1001",
    ),
    "rest-134": (
        "a uint8 of 256 is refused, not wrapped around to 0",
        400,
        (
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON Value: 256 Type: Number is not of expected type: uint8"
        ),
    ),
    "rest-135": (
        "a uint8 of -1 is refused, not wrapped around to 255",
        400,
        (
            "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON Value: -1 Type: Number is not of expected type: uint8"
        ),
    ),
    "rest-226": (
        "a uint8 of -1 is refused, not wrapped around to 255",
        400,
        (
            "Failed to process element: 0 key: u8 of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON Value: -1 Type: Number is not of expected type: uint8"
        ),
    ),
    "fuzz-1292": (
        "a uint8 of 256 is refused, not wrapped around to 0",
        400,
        (
            "Failed to process element: 0 key: u8 of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON Value: 256 Type: Number is not of expected type: uint8"
        ),
    ),
    "fuzz-1299": (
        "a uint8 of 65535 is refused, not wrapped around to 255",
        400,
        (
            "Failed to process element: 0 key: u8 of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON Value: 65535 Type: Number is not of expected type: uint8"
        ),
    ),
    "rest-192": (
        (
            "of two outputs that JSON cannot carry, the real server names one in the order of a "
            "hash map (bfloat16 in rest-188 and rest-189, half here); ours names the first by name"
        ),
        400,
        "Failed to write JSON value for tensor type: bfloat16",
    ),
    **dict.fromkeys(
        ["fuzz-3147", "fuzz-3158"],
        (
            "TensorFlow's Python binding ends the text of an error at its first NUL",
            400,
            "Could not parse example input, value: '",
        ),
    ),
}


@pytest.fixture(scope="session")
def is_real_server(request):
    return bool(request.config.getoption("--model-server-url"))


def content(body):
    return base64.b64decode(body["base64"]) if "base64" in body else body["text"].encode()


def reply_to(url, recorded):
    request = recorded["request"]
    method = request["method"]
    raw = request_bytes(
        method,
        request["path"],
        headers=request["headers"],
        body=None if request["body"] is None else content(request["body"]),
        version=request["http_version"],
    )
    return exchange(url, raw, method=method)


def same(expected, actual):
    """Equality of JSON values in which NaN equals NaN and 1 differs from 1.0 and True."""
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(actual, float) and math.isnan(actual)
    if type(expected) is not type(actual):
        return False
    if isinstance(expected, dict):
        return expected.keys() == actual.keys() and all(
            same(value, actual[key]) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return len(expected) == len(actual) and all(map(same, expected, actual))
    return expected == actual


def json_value(body):
    # Latin-1 keeps bytes that are not UTF-8, which the real server passes through.
    return json.loads(body.decode("latin-1")) if body else None


@pytest.mark.parametrize("recorded", PAIRS, ids=[pair["id"] for pair in PAIRS])
def test_a_recorded_request_gets_the_recorded_answer(recorded, rest_url, is_real_server):
    expected = recorded["response"]
    difference = DIFFERENCES.get(recorded["id"])
    if difference and is_real_server:
        pytest.skip(difference[0])

    actual = reply_to(rest_url, recorded)

    if difference:
        _, status, error = difference
        assert status == actual.status
        assert {"error": error} == json_value(actual.body)
        return
    assert expected["status"] == actual.status, actual.body
    headers = {name.lower(): value for name, value in expected["headers"]}
    assert headers == {name: actual.headers.get(name) for name in headers}
    body = content(expected["body"])
    if headers["content-type"] != "application/json":
        assert body == actual.body
    elif not same(json_value(body), json_value(actual.body)):
        assert body == actual.body  # the whole text, for the report


def test_every_difference_names_a_recorded_pair():
    assert set() == DIFFERENCES.keys() - {pair["id"] for pair in PAIRS}
