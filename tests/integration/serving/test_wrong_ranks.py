"""No input of another rank ends the server, whatever kernels its models run on.

The convolution here is anybody's, without a guard in its graph.
"""

import itertools

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from protocol.blocking import BlockingClient
from protocol.messages import model_pb2
from protocol.models import ModelSpec
from protocol.wire import read_signature
from serving.engine.ranks import HARMLESS_OPS, checked_shapes
from tests.support import wrong_shapes
from tests.support.model_server import models_config, running_model_server

SIDE = 8
SHAPES = [shape for shape in wrong_shapes.images(SIDE) if len(shape) != 4]
DTYPES = {"DT_UINT8": np.uint8, "DT_FLOAT": np.float32, "DT_INT32": np.int32, "DT_INT64": np.int64,
          "DT_DOUBLE": np.float64, "DT_BOOL": np.bool_, "DT_STRING": np.object_}  # fmt: skip
ONE = {"DT_STRING": b"x"}
REFUSED = "is not compatible with expected shape [?,8,8,3]."


def save_convolution(path):
    """Pixels by a convolution and their mean, as somebody else would write it."""
    kernel = tf.random.stateless_normal([3, 3, 3, 4], seed=[1, 2])

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, "images")])
    def classify(images):
        pixels = tf.cast(images, tf.float32)
        return {"scores": tf.reduce_mean(tf.nn.conv2d(pixels, kernel, 1, "SAME"), [1, 2])}

    tf.saved_model.save(tf.Module(), str(path), signatures=classify)


@pytest.fixture(scope="module", params=["one by one", "batching"])
def server(request, tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("served")
    save_convolution(folder / "theirs" / "1")
    config = folder / "models.config"
    named = [f'name: "theirs" base_path: "{folder}/theirs"']
    named += [f'name: "{name}" base_path: "{models}/{name}"' for name in "mtc"]
    config.write_text(models_config(*named))
    flags = ["--enable_batching"] if request.param == "batching" else []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in wrong_shapes.ONEDNN.items():
            patch.setenv(name, value)
        with running_model_server(folder, f"--model_config_file={config}", *flags) as running:
            yield running


def post(server, model, **body):
    url = f"{server.rest_url}/v1/models/{model}:predict"
    return httpx.post(url, json=body, timeout=60, trust_env=False)


def test_one_number_for_a_batch_of_images_is_refused_over_rest(server):
    answer = post(server, "theirs", instances=[1])
    assert (answer.status_code, server.process.is_running) == (400, True), server.output
    assert answer.json() == {"error": f"Shape of tensor serving_default_images [1] {REFUSED}"}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_other_rank_is_refused(server, shape, connect):
    client = connect(server.grpc_address)
    with pytest.raises(grpc.RpcError) as caught:
        client.predict("theirs", images=np.zeros(shape, np.uint8))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, server.output
    value = np.zeros(shape, np.uint8).tolist()
    for layout in ("instances", "inputs"):
        assert post(server, "theirs", **{layout: value}).status_code == 400
    right = client.predict("theirs", images=np.zeros((2, SIDE, SIDE, 3), np.uint8))
    assert right["scores"].shape == (2, 4)


def test_images_of_another_size_are_the_graphs_own_affair(server, connect):
    """As in TensorFlow Serving: this graph takes them."""
    client = connect(server.grpc_address)
    answer = client.predict("theirs", images=np.zeros((1, SIDE - 1, SIDE, 3), np.uint8))
    assert answer["scores"].shape == (1, 4)


@pytest.mark.parametrize("model", ["m", "t", "c"])
def test_graphs_that_bear_any_rank_answer_themselves(server, model, connect):
    """What the recorded answers of TensorFlow Serving are made of; nothing in them ends it."""
    client = connect(server.grpc_address)
    with BlockingClient(server.url("grpc"), timeout_seconds=60) as asking:
        signatures = asking.metadata(ModelSpec(model)).signatures
    for (name, signature), rank in itertools.product(signatures.items(), (0, 1, 2, 3, 5, 9)):
        if not signature.inputs or name == "slow":
            continue
        inputs = {
            alias: np.full((2,) * rank, ONE.get(tensor.dtype, 1), DTYPES[tensor.dtype])
            for alias, tensor in signature.inputs.items()
        }
        code, said = outcome(client, model, name, inputs)
        assert code is not grpc.StatusCode.UNAVAILABLE, (name, rank, server.output)
        assert "not compatible with expected shape" not in said, (name, rank)


def outcome(client, model, signature, inputs):
    try:
        client.predict(model, signature, **inputs)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def test_no_operation_is_called_harmless_that_is_not_asked_here(models):
    """By this file or by the recorded pairs, which ask `slow` and the initialisers too."""

    used = set()
    for model in "mtc":
        saved = saved_model_pb2.SavedModel.FromString(
            (models / model / "1" / "saved_model.pb").read_bytes()
        )
        graph = saved.meta_graphs[0].graph_def
        bodies = [graph.node, *(each.node_def for each in graph.library.function)]
        used |= {node.op for body in bodies for node in body}
        signatures = {
            name: read_signature(model_pb2.SignatureDef.FromString(each.SerializeToString()))
            for name, each in saved.meta_graphs[0].signature_def.items()
        }
        assert checked_shapes(graph, signatures) == {}
    assert used >= HARMLESS_OPS
