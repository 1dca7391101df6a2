"""Photographs through the whole chain, against Keras on the very same pixels."""

import json
from dataclasses import dataclass

import httpx
import numpy as np
import pytest

from contract.pixels import ImageSpec, decode
from tests.support import stack
from tests.support.pictures import encoded, photographs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# And their input side in pixels. All others are measured by bench.applications, a minute and more
# each, and every kind of preprocessing by tests/integration/exporter/test_preprocess.py.
APPLICATIONS = {"MobileNetV2": 224}


def spread_weights(keras, application):
    """Random weights whose answers differ enough that an order of classes means something.

    Keras' own initial weights answer a thousand times 0.001, where rounding decides the order.
    """
    keras.utils.set_random_seed(7)
    model = getattr(keras.applications, application)(weights=None)
    features = keras.Model(model.input, model.layers[-2].output)
    # A call, not predict(): compiling it costs more than running it once.
    activations = np.asarray(features(network_input(keras, application), training=False))
    kernel, bias = model.layers[-1].get_weights()
    mean = activations.mean(axis=0)
    gain = 2.0 / max(float(((activations - mean) @ kernel).std()), 1e-9)
    spread = np.random.default_rng(7).normal(size=bias.shape)
    centred = (spread - gain * (mean @ kernel)).astype(np.float32)
    model.layers[-1].set_weights([kernel * gain, centred])
    return model


def network_input(keras, application):
    """The photographs as the network wants them, float32 [N,H,W,3]."""
    pixels = np.stack([decode(data, image_spec(application)) for data in jpegs().values()])
    return preprocessing(keras, application)(pixels.astype(np.float32))


def preprocessing(keras, application):
    module = {
        "MobileNetV2": "mobilenet_v2",
    }[application]
    return getattr(keras.applications, module).preprocess_input


def image_spec(application):
    side = APPLICATIONS[application]
    return ImageSpec(height=side, width=side)


def jpegs():
    return {name: encoded(pixels) for name, pixels in photographs().items()}


@dataclass(frozen=True)
class Published:
    """One application behind a gateway, and Keras' probabilities per photograph."""

    url: str
    expected: dict[str, np.ndarray]


@pytest.fixture(scope="module", params=APPLICATIONS)
def published(request, tmp_path_factory):
    """Publish the application from a weights file and serve it."""
    import keras  # noqa: PLC0415 - seconds

    application = request.param
    folder = tmp_path_factory.mktemp(application)
    labels = folder / "labels.json"
    labels.write_text(json.dumps({str(i): [f"n{i:08d}", f"thing {i}"] for i in range(1000)}))
    model = spread_weights(keras, application)
    weights = folder / f"{application}.weights.h5"
    model.save_weights(weights)
    answers = np.asarray(model.predict(network_input(keras, application), verbose=0))
    stack.export(
        "export",
        "--application", application,
        "--weights", str(weights),
        "--labels", str(labels),
        "--name", application,
        "--fit", "stretch",
        "--filter", "bilinear",
        "--base-path", str(folder / "models"),
    )  # fmt: skip
    with (
        stack.model_server(folder / "models") as server,
        stack.gateway(server.url("grpc"), application, folder / "gateway.log") as running,
    ):
        yield Published(running.url, dict(zip(jpegs(), answers, strict=True)))


def test_photographs_get_keras_top_five(published):
    for name, data in jpegs().items():
        response = httpx.post(
            f"{published.url}/classify?top_k=5",
            content=data,
            headers={"Content-Type": "image/jpeg"},
            timeout=60,
        )
        assert response.status_code == 200, response.text
        predictions = response.json()["predictions"]
        probabilities = published.expected[name]
        best = np.argsort(-probabilities, kind="stable")[:5]
        assert [each["class_index"] for each in predictions] == best.tolist(), name
        assert [each["label"] for each in predictions] == [f"thing {index}" for index in best]
        assert [each["probability"] for each in predictions] == pytest.approx(
            probabilities[best].tolist(), abs=1e-4
        )
