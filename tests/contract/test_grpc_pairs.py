"""Every recorded gRPC pair: same code, same details, same message."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import grpc
import pytest
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

DATA = Path(__file__).parent / "data"
PAIRS = [json.loads(line) for line in (DATA / "grpc.jsonl").read_text().splitlines()]
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


@pytest.mark.parametrize("pair", PAIRS, ids=[f"{p['id']} {p['title']}" for p in PAIRS])
def test_answers_as_recorded(channel, pair):
    expected = pair["response"]
    try:
        call = channel.unary_unary(pair["request"]["method"])
        body, call = call.with_call(base64.b64decode(pair["request"]["base64"]), timeout=60)
        actual = ("OK", "")
    except grpc.RpcError as error:
        body, actual = None, (error.code().name, error.details())
    assert (expected["code"], expected["details"]) == actual
    if body is not None:
        message = RESPONSES[expected["message"]]
        assert canonical(message, base64.b64decode(expected["base64"])) == canonical(message, body)


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
