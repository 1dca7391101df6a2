"""Classify and Regress over REST: JSON to examples, and results to JSON."""

import json

import pytest

pytestmark = pytest.mark.anyio

PREDICT = b'{"instances": [1, 2]}'
JSON = {"content-type": "application/json"}


async def test_classify_and_regress_send_examples(ask, model):
    body = {
        "signature_name": "s",
        "context": {"c": True},
        "examples": [{"f": [1.5, float("nan")], "i": 1, "b": ["x", {"b64": "/w=="}], "e": []}],
    }
    classified = await ask("POST", "/v1/models/m:classify", json.dumps(body).encode())
    regressed = await ask("POST", "/v1/models/m:regress", b'{"examples": [{}, {}]}')

    assert classified.body == b'{\n    "results": [[["pos", 0.1]]\n    ]\n}'
    assert regressed.body == b'{\n    "results": [1.0, NaN]\n}'
    (sent, name, _), (plain, default, _) = model.examples
    assert (name, default) == ("s", "")
    (example,) = sent.example_list_with_context.examples
    feature = example.features.feature
    assert feature["f"].float_list.value[0] == 1.5
    assert list(feature["i"].int64_list.value) == [1]
    assert list(feature["b"].bytes_list.value) == [b"x", b"\xff"]
    assert feature["e"].WhichOneof("kind") is None
    context = sent.example_list_with_context.context.features.feature["c"]
    assert list(context.int64_list.value) == [1]
    assert len(plain.example_list.examples) == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "{}",
            "JSON Value: {} When method is classify, key 'examples' is expected and was not found",
        ),
        (
            '{"examples": 1}',
            "JSON Value: {\n    \"examples\": 1\n} Expecting 'examples' value to be an list/array",
        ),
        (
            '{"examples": []}',
            "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array",
        ),
        ('{"examples": [1]}', "Example must be JSON object but got JSON Number"),
        (
            '{"examples": [{}], "context": []}',
            "Example must be JSON object but got JSON Array",
        ),
        (
            '{"examples": [{"a": null}]}',
            "Feature: a has element with unexpected JSON type: Null",
        ),
        (
            '{"examples": [{"a": [[1]]}]}',
            "Feature: a has element with unexpected JSON type: Array",
        ),
        (
            '{"examples": [{"a": {"b64": 1}}]}',
            "Feature: a has element with unexpected JSON type: Object",
        ),
        (
            '{"examples": [{"a": [1, 1.5]}]}',
            "Unexpected element type in feature: a expecting type: int64",
        ),
        (
            '{"examples": [{"a": ["x", true]}]}',
            "Unexpected element type in feature: a expecting type: bytes",
        ),
        (
            '{"examples": [{"a": 9223372036854775808}]}',
            "Feature: a has uint64_t element. Only int64_t is supported.",
        ),
        ('{"examples": [{"a": {"b64": "@"}}]}', "Unable to base64 decode"),
    ],
)
async def test_examples_that_are_none_are_refused(body, message, ask):
    reply = await ask("POST", "/v1/models/nope:classify", body.encode())

    assert (reply.status, reply.json) == (400, {"error": message})


async def test_no_results_have_no_json(ask, model):
    model.results = []

    for method in ("classify", "regress"):
        reply = await ask("POST", f"/v1/models/m:{method}", b'{"examples": [{}]}')
        assert reply.status == 400
        assert reply.json["error"].startswith("Cannot convert empty ")


async def test_examples_keep_what_python_would_not_read(ask, model):
    body = b'{"examples": [{"\xff": 1, "a": [1e39, 18446744073709551616], "a": "last"}]}'

    await ask("POST", "/v1/models/m:regress", body)

    ((sent, _, _),) = model.examples
    feature = sent.example_list.examples[0].features.feature
    assert list(feature["\ufffd"].int64_list.value) == [1]
    assert list(feature["a"].bytes_list.value) == [b"last"]
