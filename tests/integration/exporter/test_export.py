"""The whole way: refusals leave nothing, publications are complete and proven."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from contract.card import Source
from contract.pixels import ImageSpec
from exporter.errors import FailedError, RefusedError, UsageError
from exporter.export import export
from exporter.graph.freeze import freeze, trace
from exporter.graph.functions import Head
from exporter.graph.scorer import make_scorer
from exporter.graph.write_frozen import write_frozen
from exporter.options import ExportOptions
from exporter.progress import SilentReporter
from exporter.proof import goldens
from exporter.settings import Settings
from exporter.sources.keras_file import from_keras, load_keras
from exporter.store import inventory, manifest
from tests.support.exporter_models import CLASSES, SIDE, tiny_keras


def run(network_or_file, base_path, **options):
    options = {"name": "m", "base_path": base_path, "parity_bound": 1e-4, **options}
    is_network = hasattr(network_or_file, "predict")
    return export(
        lambda _: network_or_file if is_network else load_keras(network_or_file),
        ExportOptions(**options),
        Settings(),
        SilentReporter(),
    )


def network():
    return from_keras(tiny_keras(), Source(kind="keras", name="m.keras"))


class TestWhatIsPublished:
    def test_the_files_are_those_of_the_manifest(self, exported):
        assert exported.path.name == "1"
        assert [path.name for path in exported.path.parent.iterdir()] == ["1"]
        files = set(manifest.read(exported.path))
        assert {
            "saved_model.pb",
            "assets.extra/model_card.json",
            "assets.extra/goldens.npz",
            "assets.extra/goldens/00.jpg",
            "assets.extra/tf_serving_warmup_requests",
        } <= files
        assert manifest.differences(exported.path) == []

    def test_other_users_can_read_it(self, exported):
        """The model server's container runs as somebody else."""
        for path in (exported.path, *exported.path.rglob("*")):
            readable = 0o055 if path.is_dir() else 0o044
            assert path.stat().st_mode & readable == readable

    def test_the_card_beside_the_graph_is_the_one_inside(self, exported):
        assert inventory.find(exported.base_path, "tiny").card == exported.card

    def test_the_goldens_are_the_sources_answers(self, exported):
        kept = goldens.read(exported.path)
        expected = exported.model.predict(kept.pixels.astype(np.float32), verbose=0)
        np.testing.assert_allclose(kept.probabilities, expected, atol=1e-6)

    def test_five_signatures_store_the_weights_once(self, tmp_path):
        import keras  # noqa: PLC0415 - beside TensorFlow, which the module needs anyway

        wide = keras.Sequential(
            [
                keras.Input((SIDE, SIDE, 3)),
                keras.layers.Flatten(),
                keras.layers.Dense(1024, activation="relu"),
                keras.layers.Dense(CLASSES, activation="softmax"),
            ]
        )
        source = network().source
        pixels = np.zeros((2, SIDE, SIDE, 3), np.uint8)
        scorer = make_scorer(from_keras(wide, source), pixels)
        concrete, weight_bytes = trace(scorer.score, height=SIDE, width=SIDE)
        head = Head(ImageSpec(height=SIDE, width=SIDE), ["x"] * CLASSES, k=3)
        write_frozen(tmp_path / "1", freeze(concrete, weight_bytes, "auto"), head, "{}")
        size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        assert weight_bytes > 3_000_000
        assert weight_bytes < size < 1.1 * weight_bytes


def test_one_logit_and_two_labels_are_published_as_two_classes(tmp_path):
    """The ending of Keras' own tutorial, proven on a model server."""
    (tmp_path / "labels").write_text("cat\ndog")
    model = tiny_keras(activation=None, classes=1)
    one = from_keras(model, network().source)
    published = run(one, tmp_path, labels=str(tmp_path / "labels"))
    assert (published.card.task, published.card.labels) == ("single_label", ("cat", "dog"))
    assert published.card.parity.encoded_bound == 0.01
    assert [line.step for line in published.lines] == [
        "operations", "weights", "behaviour", "repeat", "company", "parity", "encoded parity",
        "model server", "latency",
    ]  # fmt: skip
    kept = goldens.read(published.path)
    logits = model.predict(kept.pixels.astype(np.float32), verbose=0)[:, 0]
    np.testing.assert_allclose(kept.probabilities[:, 1], 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert np.ptp(logits) > 1


class TestRefusals:
    """None of them leaves a folder."""

    @pytest.fixture(autouse=True)
    def _nothing_is_left(self, tmp_path):
        yield
        assert list(tmp_path.rglob("m")) == []

    def test_an_existing_version_is_refused_before_anything_is_loaded(self, exported):
        with pytest.raises(UsageError, match="version 1 of tiny exists"):
            run("/nowhere.keras", exported.base_path, name="tiny", version=1)

    @pytest.mark.parametrize("name", ["", "../m", "a/b", "a b", ".hidden", "a:predict"])
    def test_names_that_are_no_folders_or_urls(self, tmp_path, name):
        with pytest.raises(UsageError, match="letters, digits"):
            run("/nowhere.keras", tmp_path, name=name)

    def test_the_wrong_number_of_labels(self, tiny, tmp_path):
        (tmp_path / "labels").write_text("cat\ndog")
        with pytest.raises(UsageError, match=f"2 labels for {CLASSES} classes"):
            run(tiny[1], tmp_path, labels=str(tmp_path / "labels"))

    def test_more_answers_than_classes(self, tiny, tmp_path):
        with pytest.raises(UsageError, match=f"--top-k 13: the model has {CLASSES} classes"):
            run(tiny[1], tmp_path, k=13)

    def test_another_image_size_than_the_sources(self, tiny, tmp_path):
        with pytest.raises(UsageError, match="takes 16x16 images only"):
            run(tiny[1], tmp_path, image={"height": 32, "width": 32})

    def test_no_image_size_where_any_would_do(self, tmp_path):
        any_size = replace(network(), height=None, width=None)
        with pytest.raises(UsageError, match="takes any image size: choose --image-size"):
            run(any_size, tmp_path)

    def test_an_image_spec_that_cannot_be(self, tiny, tmp_path):
        with pytest.raises(UsageError, match="image crop-fraction: "):
            run(tiny[1], tmp_path, image={"crop_fraction": 2.0})

    def test_a_graph_that_answers_otherwise_than_its_source(self, tmp_path):
        honest = network()
        other = replace(honest, predict=lambda x: honest.predict(x)[:, ::-1])
        with pytest.raises(RefusedError, match=r"differs from its source by 0\.\d+"):
            run(other, tmp_path)

    def test_weights_that_freezing_has_changed(self, tmp_path, monkeypatch):
        """Parity is that of the variables; what became of them is for the model server to see."""

        def spoiling(concrete, weight_bytes, choice):
            frozen = freeze(concrete, weight_bytes, choice)
            kernels = [node for node in frozen._graph_def.node if node.op == "Const"]
            largest = max(kernels, key=lambda node: len(node.attr["value"].tensor.tensor_content))
            content = bytearray(largest.attr["value"].tensor.tensor_content)
            content[: len(content) // 2] = bytes(len(content) // 2)
            largest.attr["value"].tensor.tensor_content = bytes(content)
            return frozen

        monkeypatch.setattr("exporter.building.graph.freeze", spoiling)
        with pytest.raises(RefusedError, match="is not the golden answer: off by") as caught:
            run(network(), tmp_path)
        assert caught.value.step == "model server"

    def test_nan_that_only_the_graph_gives(self, tmp_path):
        broken = replace(network(), call=lambda x: tf.fill([tf.shape(x)[0], CLASSES], np.nan))
        with pytest.raises(RefusedError, match="NaN"):
            run(broken, tmp_path)

    def test_a_model_server_that_does_not_start(self, tmp_path, monkeypatch):
        monkeypatch.setenv("EXPORTER_MODEL_SERVER", "false")
        with pytest.raises(FailedError, match="false ended at once"):
            run(network(), tmp_path)
