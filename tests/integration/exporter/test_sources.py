"""Every kind of source, loaded and asked; every unfit one refused in one line."""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import keras
import numpy as np
import pytest
import tensorflow as tf

from exporter import application_source
from exporter.application_source import load_application
from exporter.errors import FailedError, RefusedError, UsageError
from exporter.progress import SilentReporter
from exporter.saved_model_source import TensorNames, load_saved_model
from exporter.settings import Settings
from exporter.sources import load_keras
from tests.support.exporter_models import (
    CLASSES,
    SIDE,
    save_saved_model,
    save_v1_saved_model,
    tiny_keras,
)

PIXELS = np.random.default_rng(8).integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.float32)
APPLICATION = "MobileNet"  # the one with the fewest layers


@pytest.fixture(scope="module")
def application():
    """A MobileNet of 32 pixels and 5 classes with weights of its own."""
    keras.utils.set_random_seed(11)
    return keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3), classes=5)


def load(weights, **options):
    return load_application(APPLICATION, str(weights), Settings(), SilentReporter(), **options)


def same_answers(network, model):
    """Both its graph side and its own side answer as the model does."""
    shape = (2, network.height, network.width, 3)
    images = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(network.predict(images), expected, atol=1e-6)
    np.testing.assert_allclose(network.call(tf.constant(images)), expected, atol=1e-5)


class TestKerasFiles:
    @pytest.mark.parametrize("suffix", [".keras", ".h5"])
    @pytest.mark.filterwarnings("ignore:.*HDF5 file.*legacy")  # Keras' advice; .h5 is our input
    def test_whole_models_are_loaded(self, tmp_path, suffix):
        model = tiny_keras()
        model.save(tmp_path / f"m{suffix}")
        network = load_keras(tmp_path / f"m{suffix}")
        assert (network.height, network.width, network.class_count) == (SIDE, SIDE, CLASSES)
        assert network.final_activation == "softmax"
        assert network.has_rescaling
        assert network.preprocess is None
        same_answers(network, model)

    def test_the_digest_is_of_the_weights_and_not_of_the_file(self, tmp_path):
        model = tiny_keras()
        model.save(tmp_path / "a.keras")
        model.save(tmp_path / "b.keras")
        digests = {load_keras(tmp_path / f"{n}.keras").source.weights_sha256 for n in "ab"}
        assert len(digests) == 1
        model.layers[-1].set_weights([w + 1 for w in model.layers[-1].get_weights()])
        model.save(tmp_path / "c.keras")
        assert load_keras(tmp_path / "c.keras").source.weights_sha256 not in digests

    def test_weights_alone_are_no_model(self, tmp_path):
        tiny_keras().save_weights(tmp_path / "m.weights.h5")
        with pytest.raises(UsageError, match="--application NAME --weights FILE"):
            load_keras(tmp_path / "m.weights.h5")

    @pytest.mark.parametrize("name", ["m.onnx", "m.tflite", "m.pt"])
    def test_other_formats_are_refused_by_name(self, tmp_path, name):
        (tmp_path / name).write_bytes(b"\x08\x07")
        with pytest.raises(UsageError, match=r"end in \.keras or \.h5; convert"):
            load_keras(tmp_path / name)

    def test_missing_and_damaged_files_are_one_line(self, tmp_path):
        with pytest.raises(UsageError, match="there is no such file"):
            load_keras(tmp_path / "m.keras")
        (tmp_path / "m.keras").write_bytes(b"PK\x03\x04 cut")
        with pytest.raises(FailedError) as caught:
            load_keras(tmp_path / "m.keras")
        assert "\n" not in str(caught.value)

    def test_what_is_no_image_classifier_is_refused(self, tmp_path):
        layers = keras.layers
        flat = keras.Sequential([keras.Input((10,)), layers.Dense(3)])
        grey = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3)])
        planes = keras.Sequential([keras.Input((3, 8, 8)), layers.Flatten(), layers.Dense(3)])
        mask = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 1)])
        for model, complaint in (
            (flat, "no batch of RGB images"),
            (grey, "grey images"),
            (planes, "channels first"),
            (mask, "not one row of scores per image"),
        ):
            model.save(tmp_path / "m.keras")
            with pytest.raises(UsageError, match=complaint):
                load_keras(tmp_path / "m.keras")

    def test_two_inputs_are_refused(self, tmp_path):
        inputs = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
        added = keras.layers.Flatten()(keras.layers.Add()(inputs))
        keras.Model(inputs, keras.layers.Dense(2)(added)).save(tmp_path / "m.keras")
        with pytest.raises(UsageError, match="2 inputs and 1 outputs"):
            load_keras(tmp_path / "m.keras")


class TestApplications:
    def test_random_weights_are_marked(self):
        network = load("none", image_size=(32, 32))
        assert network.is_randomly_weighted
        assert network.preprocess == "tf"
        assert (network.height, network.class_count) == (32, 1000)
        assert network.source.name == APPLICATION

    def test_its_own_input_size_is_the_default(self):
        assert load("none").height == 224

    def test_one_that_takes_any_size_gets_imagenets(self):
        network = load_application("MobileNetV3Small", "none", Settings(), SilentReporter())
        assert (network.height, network.width) == (224, 224)

    @pytest.mark.parametrize("name", ["m.weights.h5", "m.keras", "m.h5"])
    @pytest.mark.filterwarnings("ignore:.*HDF5 file.*legacy")  # Keras' advice; .h5 is our input
    def test_weights_come_from_any_of_keras_files(self, application, tmp_path, name):
        file = tmp_path / name
        save = application.save_weights if name == "m.weights.h5" else application.save
        save(file)
        network = load(file, image_size=(32, 32), class_count=5)
        assert network.source.weights == name
        assert not network.is_randomly_weighted
        same_answers(network, application)

    def test_weights_of_another_model_are_refused_with_the_class_count(self, application, tmp_path):
        application.save_weights(tmp_path / "m.weights.h5")
        with pytest.raises(FailedError, match="do not fit MobileNet with 7 classes"):
            load(tmp_path / "m.weights.h5", image_size=(32, 32), class_count=7)

    def test_a_missing_weights_file_is_a_usage_error(self):
        with pytest.raises(UsageError, match="neither imagenet, nor none, nor an existing file"):
            load("/nowhere/m.weights.h5")

    def test_a_size_it_does_not_take_is_a_usage_error(self):
        with pytest.raises(UsageError, match="Input size must be at least"):
            load("none", image_size=(8, 8))


class TestImagenetDownload:
    @pytest.fixture(autouse=True)
    def _own_keras_home(self, tmp_path, monkeypatch):
        monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
        monkeypatch.setattr("keras.src.applications.imagenet_utils.CLASS_INDEX", None)
        monkeypatch.setattr("urllib.request.getproxies", dict)

    @pytest.fixture
    def host(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("host")
        handler_class = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        handler = partial(handler_class, directory=str(folder))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield folder, f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()
            thread.join()

    def point_keras_to(self, monkeypatch, url):
        monkeypatch.setattr("keras.src.applications.mobilenet.BASE_WEIGHT_PATH", url)
        monkeypatch.setattr(
            "keras.src.applications.imagenet_utils.CLASS_INDEX_PATH", f"{url}class_index.json"
        )

    @pytest.mark.filterwarnings("ignore:.*HDF5 file.*legacy")  # Keras' weights are such files
    def test_weights_and_labels_arrive_by_keras_own_code(self, host, monkeypatch):
        folder, url = host
        self.point_keras_to(monkeypatch, url)
        # The class index we serve is ours, so it cannot have the published one's hash.
        monkeypatch.setattr("keras.src.utils.file_utils.validate_file", lambda *_, **__: True)
        keras.utils.set_random_seed(12)
        model = keras.applications.MobileNet(weights=None)
        name = "mobilenet_1_0_224_tf.h5"
        model.save(folder / name)
        index = ",".join(f'"{i}": ["n{i:08}", "thing {i}"]' for i in range(1000))
        (folder / "class_index.json").write_text(f"{{{index}}}")
        network = load("imagenet")
        assert (network.classes[7].label, network.classes[7].id) == ("thing 7", "n00000007")
        assert len(network.classes) == 1000
        assert network.source.weights == "imagenet"
        same_answers(network, model)

    def test_a_file_that_is_not_there_names_the_way_without_network(self, host, monkeypatch):
        self.point_keras_to(monkeypatch, host[1])
        with pytest.raises(
            FailedError, match=r"answers 404; fetch http\S+\.h5 elsewhere"
        ) as caught:
            load("imagenet")
        assert "--weights FILE" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_file_with_another_hash_is_a_failure(self, host, monkeypatch):
        folder, url = host
        self.point_keras_to(monkeypatch, url)
        (folder / "class_index.json").write_text("{}")
        with pytest.raises(FailedError, match=r"cannot download ImageNet's labels: .*corrupted"):
            application_source.imagenet_classes(Settings(), SilentReporter())


class TestSavedModels:
    @pytest.mark.parametrize("dtype", ["float32", "uint8"])
    def test_somebody_elses_names_and_types_are_found(self, tmp_path, dtype):
        model = save_saved_model(tmp_path / "m", dtype=dtype)
        network = load_saved_model(tmp_path / "m", TensorNames())
        assert network.dtype == tf.as_dtype(dtype)
        assert (network.height, network.class_count) == (SIDE, CLASSES)
        expected = model.predict(PIXELS, verbose=0)
        np.testing.assert_allclose(network.predict(PIXELS), expected, atol=1e-6)
        np.testing.assert_allclose(network.call(tf.cast(PIXELS, dtype)), expected, atol=1e-5)

    def test_tensorflow_1_models_load(self, tmp_path):
        save_v1_saved_model(tmp_path / "m")
        network = load_saved_model(tmp_path / "m", TensorNames())
        np.testing.assert_allclose(network.predict(PIXELS).sum(axis=1), 1, atol=1e-5)

    @pytest.mark.parametrize("save", [save_saved_model, save_v1_saved_model])
    @pytest.mark.parametrize("lost", ["variables", "variables/variables.data-00000-of-00001"])
    def test_variables_that_did_not_come_along_are_refused(self, tmp_path, save, lost):
        save(tmp_path / "m")
        target = tmp_path / "m" / lost
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        with pytest.raises(RefusedError, match="variables did not come along") as caught:
            load_saved_model(tmp_path / "m", TensorNames())
        assert "\n" not in str(caught.value)

    def test_names_that_do_not_exist_are_answered_with_those_that_do(self, tmp_path):
        save_saved_model(tmp_path / "m")
        for names, complaint in (
            (TensorNames(signature="top"), "--signature top: there are only: .*serving_default"),
            (TensorNames(input="y"), "--input y: there are only: x"),
            (TensorNames(output="y"), "--output y: there are only: scores"),
        ):
            with pytest.raises(UsageError, match=complaint):
                load_saved_model(tmp_path / "m", names)

    def test_what_is_not_obvious_is_asked_for(self, tmp_path):
        module = tf.Module()
        spec = tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "x")

        @tf.function(input_signature=[spec])
        def both(x):
            flat = tf.reshape(x, [-1, SIDE * SIDE * 3])
            return {"scores": tf.nn.softmax(flat[:, :5]), "features": flat}

        tf.saved_model.save(module, str(tmp_path / "m"), signatures=both.get_concrete_function())
        with pytest.raises(UsageError, match=r"which output .* --output .*features, scores"):
            load_saved_model(tmp_path / "m", TensorNames())
        assert load_saved_model(tmp_path / "m", TensorNames(output="scores")).class_count == 5

    @pytest.mark.parametrize(
        ("shape", "dtype", "complaint"),
        [
            ([None, 10], tf.float32, "no batch of RGB images"),
            ([None, 8, 8, 3], tf.int64, "int64 is not a type for pixels"),
            ([4, 8, 8, 3], tf.float32, "takes batches of 4 only"),
            (None, tf.float32, "its shape is unknown"),
        ],
    )
    def test_inputs_that_are_no_images_are_refused(self, tmp_path, shape, dtype, complaint):
        @tf.function(input_signature=[tf.TensorSpec(shape, dtype, "x")])
        def serve(x):
            return {"scores": tf.zeros([tf.shape(x)[0], 3])}

        tf.saved_model.save(
            tf.Module(), str(tmp_path / "m"), signatures=serve.get_concrete_function()
        )
        with pytest.raises(UsageError, match=complaint):
            load_saved_model(tmp_path / "m", TensorNames())

    def test_a_folder_without_a_saved_model_is_a_usage_error(self, tmp_path):
        with pytest.raises(UsageError, match=r"there is no saved_model\.pb"):
            load_saved_model(tmp_path, TensorNames())
