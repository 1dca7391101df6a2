"""A SavedModel that is not ours: float input, its own names, served through a settings file."""

import httpx
import numpy as np
import pytest

from contract.pixels import ImageSpec, decode
from tests.support import stack
from tests.support.pictures import encoded, photographs

SETTINGS = """
[models.theirs]
signature = "score_images"
input = "pixels_in"
output = "logits_out"
labels = ["dark", "reddish", "bright"]
scale = 0.00392156862745098  # 1/255
softmax = true
image = { fit = "center_crop" }
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    import tensorflow as tf  # noqa: PLC0415 - seconds

    class Theirs(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 20, 30, 3], tf.float32, "pixels_in")])
        def score(self, pixels_in):
            mean = tf.reduce_mean(pixels_in, [1, 2])
            brightness = tf.reduce_mean(mean, 1)
            return {"logits_out": 4 * tf.stack([1 - brightness, mean[:, 0], brightness], 1)}

    folder = tmp_path_factory.mktemp("theirs")
    module = Theirs()
    path = str(folder / "models" / "theirs" / "1")
    tf.saved_model.save(module, path, signatures={"score_images": module.score})
    (folder / "models.toml").write_text(SETTINGS)
    with stack.model_server(folder / "models") as server:
        yield server, folder


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_it_answers_with_the_labels_of_the_settings_file(protocol, served, tmp_path):
    server, folder = served
    with stack.gateway(
        server.url(protocol),
        "theirs",
        tmp_path / "gateway.log",
        GATEWAY_MODELS_FILE=str(folder / "models.toml"),
    ) as gateway:
        for pixels in photographs().values():
            data = encoded(pixels)
            response = httpx.post(
                f"{gateway.url}/classify?top_k=3",
                content=data,
                headers={"Content-Type": "image/jpeg"},
                timeout=30,
            )
            assert response.status_code == 200, response.text
            spec = ImageSpec(height=20, width=30, fit="center_crop")
            mean = decode(data, spec).astype(np.float32).mean(axis=(0, 1)) / 255
            logits = 4 * np.array([1 - mean.mean(), mean[0], mean.mean()])
            expected = np.exp(logits) / np.exp(logits).sum()
            body = response.json()
            assert body["model"] == {"name": "theirs", "version": 1}
            order = np.argsort(-expected)
            assert [each["label"] for each in body["predictions"]] == [
                ("dark", "reddish", "bright")[index] for index in order
            ]
            assert [each["probability"] for each in body["predictions"]] == pytest.approx(
                expected[order].tolist(), abs=1e-4
            )
