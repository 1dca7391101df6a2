"""Every recorded gRPC pair: same code, same details, same message."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

PREDICT = "/tensorflow.serving.PredictionService/Predict"
DATA = Path(__file__).parent / "data"
PAIRS = [
    json.loads(line)
    for name in ("grpc.jsonl", "grpc-fuzz.jsonl")
    for line in (DATA / name).read_text().splitlines()
]
WRAP_AROUND = "a number that does not fit its type is refused, not wrapped around"
HASH_ORDER = "of two missing inputs the real server names one in the order of a hash map"
RANK = "NumPy's arrays have at most 64 dimensions"
# Where the embedded server answers otherwise, on purpose: id -> (reason, our details). The code is
# INVALID_ARGUMENT. They are not checked against a real server.
DIFFERENCES = {
    "fuzz-75": (
        "a resource is refused when it is parsed; in an array of them it ends the real server",
        "tensor parsing error: x",
    ),
    "fuzz-127": (RANK, "tensor parsing error: x"),
    "fuzz-133": (RANK, "tensor parsing error: x"),
    "fuzz-134": (RANK, "tensor parsing error: x"),
    "fuzz-175": (WRAP_AROUND, "tensor parsing error: u8"),
    "fuzz-177": (WRAP_AROUND, "tensor parsing error: u8"),
    "fuzz-178": (WRAP_AROUND, "tensor parsing error: images"),
    **dict.fromkeys(
        ("fuzz-186", "fuzz-188", "fuzz-189"),
        (
            HASH_ORDER,
            (
                "Signature input alias: a(feed name: multi_a:0) not found in request and no "
                "default value provided. Inputs expected to be in the request "
                "{multi_a:0,multi_b:0}, or default input alias set: "
            ),
        ),
    ),
    "fuzz-223": (
        "protobuf for Python drops an entry of a map whose name is not UTF-8",
        (
            "input size does not match signature: 0!=2 len({}) != len({a,b}). Sent extra: {}. "
            "Missing but required: {a,b}."
        ),
    ),
}
# Nodes that do not depend on each other run in any order, there as here: id -> what is said if
# another one fails first.
OTHER_ORDERS = {
    "fuzz-185": (
        "Incompatible shapes: [3] vs. [2]\n\t "
        "[[{{function_node __inference_multi_276}}{{node mul}}]]"
    ),
}
RESPONSES = {
    message.DESCRIPTOR.name: message
    for message in (
        predict_pb2.PredictResponse,
        classification_pb2.ClassificationResponse,
        regression_pb2.RegressionResponse,
        inference_pb2.MultiInferenceResponse,
        get_model_metadata_pb2.GetModelMetadataResponse,
        get_model_status_pb2.GetModelStatusResponse,
    )
}


@pytest.fixture(scope="module")
def channel(grpc_address):
    with grpc.insecure_channel(grpc_address) as channel:
        yield channel


@pytest.fixture(scope="module")
def is_real_server(request):
    return bool(request.config.getoption("--model-server-grpc"))


@pytest.mark.parametrize(
    "pair", PAIRS, ids=[f"{p['id']} {p['title'] or p['section']}" for p in PAIRS]
)
def test_answers_as_recorded(channel, pair, is_real_server):
    expected = pair["response"]
    if difference := DIFFERENCES.get(pair["id"]):
        reason, details = difference
        if is_real_server:
            pytest.skip(reason)
        expected = {"code": "INVALID_ARGUMENT", "details": details}
    try:
        call = channel.unary_unary(pair["request"]["method"])
        body, call = call.with_call(base64.b64decode(pair["request"]["base64"]), timeout=60)
        actual = ("OK", "")
    except grpc.RpcError as error:
        body, actual = None, (error.code().name, error.details())
    details = OTHER_ORDERS.get(pair["id"], expected["details"])
    assert actual in {(expected["code"], expected["details"]), (expected["code"], details)}
    if body is not None:
        message = RESPONSES[expected["message"]]
        assert canonical(message, base64.b64decode(expected["base64"])) == canonical(message, body)


FATAL = {
    "an array of resources": (
        'model_spec { name: "t" signature_name: "scalar_in" } '
        'inputs { key: "x" value { dtype: DT_RESOURCE tensor_shape { dim { size: 2 } } } }'
    ),
    "a scalar image": (
        'model_spec { name: "m" } '
        'inputs { key: "images" value { dtype: DT_UINT8 tensor_shape { } int_val: 1 } }'
    ),
}


@pytest.mark.parametrize("text", FATAL.values(), ids=FATAL)
def test_what_ends_the_real_server_is_an_error_here(channel, text, is_real_server):
    if is_real_server:
        pytest.skip("it would end the server under test")
    request = text_format.Parse(text, predict_pb2.PredictRequest())
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(PREDICT)(request.SerializeToString(), timeout=60)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_every_difference_names_a_recorded_pair():
    assert set() == DIFFERENCES.keys() - {pair["id"] for pair in PAIRS}


def canonical(message, body: bytes) -> list[bytes]:
    """Bytes that are equal for equal values: maps in order, NaN equal to itself, Any unpacked."""
    parsed = message.FromString(body)
    parts = []
    if isinstance(parsed, get_model_metadata_pb2.GetModelMetadataResponse):
        for packed in parsed.metadata.values():
            signatures = get_model_metadata_pb2.SignatureDefMap()
            assert packed.Unpack(signatures)
            parts.append(signatures.SerializeToString(deterministic=True))
        parsed.ClearField("metadata")
    return [parsed.SerializeToString(deterministic=True), *parts]
