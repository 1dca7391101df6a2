"""Mutated protobufs against a real server: it answers every one, and stays the size it was.

SIGHTSERVE_FUZZ_EXAMPLES=20000 sends as many as the issue of this server asks for.
"""

from __future__ import annotations

import os

import grpc
import numpy as np
import psutil
import pytest
from google.protobuf import text_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
)

from tests.support.model_server import models_config, running_model_server

EXAMPLES = int(os.environ.get("SIGHTSERVE_FUZZ_EXAMPLES", "400"))
PREDICTION = "/tensorflow.serving.PredictionService/"
METHODS = [
    *(f"{PREDICTION}{name}" for name in ("Predict", "Classify", "Regress", "MultiInference")),
    f"{PREDICTION}GetModelMetadata",
    "/tensorflow.serving.ModelService/GetModelStatus",
]
DOCUMENTED = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.RESOURCE_EXHAUSTED,  # this client's limit on the size of an answer
}
GROWTH_BYTES = 400 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    directory = tmp_path_factory.mktemp("fuzz")
    config = directory / "models.config"
    names = ("m", "t", "c")
    config.write_text(models_config(*(f'name: "{n}" base_path: "{models}/{n}"' for n in names)))
    with running_model_server(directory, f"--model_config_file={config}") as server:
        yield server


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="module")
def seeds(make_request, image):
    """Good requests, to be spoiled."""
    example = 'features { feature { key: "x" value { float_list { value: 1 value: 2 } } } }'
    of_examples = f"input {{ example_list {{ examples {{ {example} }} }} }}"
    task = 'tasks { model_spec { name: "c" } method_name: "tensorflow/serving/classify" }'
    strings = np.array([b"a", b"b"], np.object_)
    return [
        make_request("m", images=image).SerializeToString(),
        make_request("t", x=np.ones((2, 3), np.float32)).SerializeToString(),
        make_request("t", "strings", s=strings).SerializeToString(),
        make_request("t", "ints", x=np.ones(2, np.float32)).SerializeToString(),
        *(
            text_format.Parse(text, message()).SerializeToString()
            for message, text in (
                (
                    classification_pb2.ClassificationRequest,
                    f'model_spec {{ name: "c" }} {of_examples}',
                ),
                (inference_pb2.MultiInferenceRequest, f"{task} {of_examples}"),
                (
                    get_model_metadata_pb2.GetModelMetadataRequest,
                    'model_spec { name: "m" } metadata_field: "signature_def"',
                ),
                (get_model_status_pb2.GetModelStatusRequest, 'model_spec { name: "m" }'),
            )
        ),
    ]


def mutated(data, body):
    """`body` with a few bytes changed, dropped, doubled or put in."""
    spoiled = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, max(len(spoiled) - 1, 0)))
        match data.draw(st.sampled_from(["change", "insert", "drop", "double", "cut"])):
            case "change" if spoiled:
                spoiled[position] = data.draw(st.integers(0, 255))
            case "insert":
                spoiled[position:position] = data.draw(st.binary(max_size=12))
            case "drop":
                del spoiled[position : position + data.draw(st.integers(1, 8))]
            case "double":
                spoiled[position:position] = spoiled[position : position + 16]
            case "cut":
                del spoiled[position:]
    return bytes(spoiled)


def outcome(channel, method, body):
    try:
        channel.unary_unary(method)(body, timeout=60)
    except grpc.RpcError as error:
        return error.code()
    return None


def resident_bytes(server):
    return psutil.Process(server.pid).memory_info().rss


def test_mutated_requests_get_documented_codes(server, channel, seeds):
    before = resident_bytes(server)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(data=st.data())
    def check(data):
        body = mutated(data, data.draw(st.sampled_from(seeds)))
        code = outcome(channel, data.draw(st.sampled_from(METHODS)), body)
        assert code is None or code in DOCUMENTED

    check()
    assert server.process.is_running
    assert resident_bytes(server) - before < GROWTH_BYTES
    assert "request failed" not in server.output


dimensions = st.lists(
    st.one_of(st.integers(-2, 9), st.sampled_from([1 << 20, 1 << 31, 1 << 40, -(1 << 63)])),
    max_size=5,
)


@st.composite
def tensor_protos(draw):
    """Messages that parse, whose parts need not agree."""
    message = tensor_pb2.TensorProto(dtype=draw(st.integers(0, 30)))
    for size in draw(dimensions):
        message.tensor_shape.dim.add(size=size)
    message.tensor_shape.unknown_rank = draw(st.booleans()) and draw(st.booleans())
    message.tensor_content = draw(st.binary(max_size=40)) if draw(st.booleans()) else b""
    message.float_val.extend(draw(st.lists(st.floats(width=32), max_size=3)))
    message.int_val.extend(draw(st.lists(st.integers(-300, 300), max_size=3)))
    message.string_val.extend(draw(st.lists(st.binary(max_size=4), max_size=3)))
    message.half_val.extend(draw(st.lists(st.integers(-1, 1 << 17), max_size=3)))
    return message


def test_odd_tensors_get_documented_codes(server, channel, make_request):
    before = resident_bytes(server)
    names = ["serving_default", "strings", "ints", "halfs", "typed", "multi", "mat", "scalar_in"]

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
    @given(
        signature=st.sampled_from(names),
        tensors=st.dictionaries(
            st.sampled_from(["x", "s", "a", "b", "flag"]), tensor_protos(), min_size=1, max_size=2
        ),
    )
    def check(signature, tensors):
        request = make_request("t", signature)
        for alias, tensor in tensors.items():
            request.inputs[alias].CopyFrom(tensor)
        code = outcome(channel, METHODS[0], request.SerializeToString())
        assert code is None or code in DOCUMENTED

    check()
    assert server.process.is_running
    assert resident_bytes(server) - before < GROWTH_BYTES
    assert "request failed" not in server.output
