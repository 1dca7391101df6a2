"""Fixture models and a client for real model servers."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from protocol import tensors
from tests.support import fixture_models

IMAGE = np.zeros((1, 8, 8, 3), np.uint8)


@pytest.fixture(scope="session")
def models(tmp_path_factory, worker_id):
    """The fixture models; tests copy versions out of it."""
    return fixture_models.shared(tmp_path_factory, worker_id)


class Client:
    """TensorFlow Serving's own stubs with arrays for tensors."""

    def __init__(self, address, credentials=None):
        self.channel = (
            grpc.secure_channel(address, credentials)
            if credentials
            else grpc.insecure_channel(address)
        )
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.request = predict_request
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, name, signature="", *, version=None, label=None, seconds=30, **inputs):
        """Outputs by name; `version` of the answer under the key "version"."""
        request = predict_request(name, signature, version=version, label=label, **inputs)
        response = self.prediction.Predict(request, timeout=seconds)
        outputs = {k: tensors.array_from_proto(v) for k, v in response.outputs.items()}
        return {**outputs, "version": response.model_spec.version.value}

    def states(self, name):
        """State name by version, highest first."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        answer = self.model.GetModelStatus(request, timeout=30).model_version_status
        return {each.version: State.Name(each.state) for each in answer}

    def status(self, name, version):
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        request.model_spec.version.value = version
        (answer,) = self.model.GetModelStatus(request, timeout=30).model_version_status
        return answer.status

    def reload(self, config, seconds=30):
        request = model_management_pb2.ReloadConfigRequest(config=config)
        return self.model.HandleReloadConfigRequest(request, timeout=seconds)


State = get_model_status_pb2.ModelVersionStatus.State


def predict_request(name, signature="", *, version=None, label=None, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label is not None:
        request.model_spec.version_label = label
    for alias, array in inputs.items():
        tensors.write_proto(np.asarray(array), request.inputs[alias])
    return request


@pytest.fixture(scope="session")
def connect():
    """Clients by address, closed at the end."""
    clients = []

    def new(address, credentials=None):
        clients.append(Client(address, credentials))
        return clients[-1]

    yield new
    for client in clients:
        client.channel.close()


@pytest.fixture(scope="session")
def image():
    return IMAGE


@pytest.fixture(scope="session")
def make_request():
    return predict_request
