"""Keras applications with weights of every origin, and what is said when there are none."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import keras
import pytest

from exporter.errors import FailedError, UsageError
from exporter.preprocessing import TF
from exporter.progress import SilentReporter
from exporter.settings import Settings
from exporter.sources.application import imagenet_classes, load_application
from tests.support.exporter_models import require_same_answers

APPLICATION = "MobileNet"  # the one with the fewest layers


@pytest.fixture(scope="module")
def application():
    """A MobileNet of 32 pixels and 5 classes with weights of its own."""
    keras.utils.set_random_seed(11)
    return keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3), classes=5)


def load(weights, **options):
    return load_application(APPLICATION, str(weights), Settings(), SilentReporter(), **options)


class TestApplications:
    def test_random_weights_are_marked(self):
        network = load("none", image_size=(32, 32))
        assert network.is_randomly_weighted
        assert network.preprocess == TF
        assert (network.height, network.class_count) == (32, 1000)
        assert network.source.name == APPLICATION

    def test_its_own_input_size_is_the_default(self):
        assert load("none").height == 224

    def test_one_that_takes_any_size_gets_imagenets(self):
        network = load_application("MobileNetV3Small", "none", Settings(), SilentReporter())
        assert (network.height, network.width) == (224, 224)
        assert network.evaluated == {
            "fit": "center_crop",
            "crop_fraction": 0.875,
            "filter": "bilinear",
        }

    @pytest.mark.parametrize("name", ["m.weights.h5", "m.keras", "m.h5"])
    @pytest.mark.filterwarnings("ignore:.*HDF5 file.*legacy")  # Keras' advice; .h5 is our input
    def test_weights_come_from_any_of_keras_files(self, application, tmp_path, name):
        file = tmp_path / name
        save = application.save_weights if name == "m.weights.h5" else application.save
        save(file)
        network = load(file, image_size=(32, 32), class_count=5)
        assert network.source.weights == name
        assert not network.is_randomly_weighted
        require_same_answers(network, application)

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
        require_same_answers(network, model)

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
            imagenet_classes(Settings(), SilentReporter())
