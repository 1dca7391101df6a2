"""The official Python stubs as their documentation shows, and saved_model_cli's view."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.tools import saved_model_utils
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tests.support.model_server import models_config, running_model_server


@pytest.fixture(scope="module")
def stub(tmp_path_factory, models):
    directory = tmp_path_factory.mktemp("official")
    config = directory / "models.config"
    both = (
        "model_version_policy { all { } } "
        'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }'
    )
    names = {"m": both, "t": "", "c": ""}
    config.write_text(
        models_config(
            *(f'name: "{n}" base_path: "{models}/{n}" {more}' for n, more in names.items())
        )
    )
    with (
        running_model_server(directory, f"--model_config_file={config}") as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def example(*x):
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=x))
    return tf.train.Example(features=tf.train.Features(feature={"x": feature}))


def test_predict_as_the_tutorials_write_it(stub):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.model_spec.signature_name = "serving_default"
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(np.zeros([2, 8, 8, 3], np.uint8)))
    response = stub.Predict(request, 30.0)
    scores = tf.make_ndarray(response.outputs["scores"])
    np.testing.assert_array_equal(scores, np.full((2, 4), 2, np.float32))


@pytest.mark.parametrize(("label", "version"), [("stable", 1), ("canary", 2)])
def test_labels_of_two_versions_are_there_from_the_start(stub, label, version):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.model_spec.version_label = label
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(np.zeros([1, 8, 8, 3], np.uint8)))
    assert stub.Predict(request, 30.0).model_spec.version.value == version


@pytest.mark.parametrize("dtype", ["bool", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64"])
def test_every_integer_type_reads_back(stub, dtype):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "t"
    request.model_spec.signature_name = "ints"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0]))
    values = tf.make_ndarray(stub.Predict(request, 30.0).outputs[dtype])
    assert values.tolist() == ([True, True] if dtype == "bool" else [1, 2])


def test_classify_regress_and_both(stub):
    classify = classification_pb2.ClassificationRequest()
    classify.model_spec.name = "c"
    classify.input.example_list.examples.append(example(1.0, 2.0))
    (result,) = stub.Classify(classify, 30.0).result.classifications
    assert [each.label for each in result.classes] == ["neg", "pos"]

    regress = regression_pb2.RegressionRequest()
    regress.model_spec.name = "c"
    regress.model_spec.signature_name = "regress"
    regress.input.CopyFrom(classify.input)
    assert [each.value for each in stub.Regress(regress, 30.0).result.regressions] == [3.0]

    both = inference_pb2.MultiInferenceRequest(input=classify.input)
    for signature, method in (("serving_default", "classify"), ("regress", "regress")):
        task = both.tasks.add(method_name=f"tensorflow/serving/{method}")
        task.model_spec.name = "c"
        task.model_spec.signature_name = signature
    results = stub.MultiInference(both, 30.0).results
    assert results[0].classification_result.classifications[0] == result
    assert results[1].regression_result.regressions[0].value == 3.0


@pytest.mark.parametrize(("name", "version"), [("m", 2), ("t", 1), ("c", 1)])
def test_metadata_is_what_saved_model_cli_reads(stub, models, name, version):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = name
    answer = stub.GetModelMetadata(request, 30.0)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    directory = str(models / name / str(version))
    expected = saved_model_utils.get_meta_graph_def(directory, "serve").signature_def
    assert dict(expected) == dict(signatures.signature_def)
