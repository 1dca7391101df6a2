"""Training itself, in this process and without a gate: what is learnt, kept and left alone."""

from dataclasses import replace
from io import BytesIO

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group
from PIL import Image

from exporter.errors import FailedError
from exporter.preprocessing import NAMED, NONE
from exporter.progress import SilentReporter
from exporter.settings import Settings
from exporter.sources.known_applications import application_names
from exporter.sources.preprocess import in_graph
from exporter.training import augmentation, backbone, fitting, head, plan
from exporter.training.applications import SIDES
from exporter.training.history import History
from exporter.training.options import TrainingOptions
from exporter.training.trained import HISTORY, KERAS, TrainedPhotos
from tests.support.photo_folders import write_crops

pytestmark = pytest.mark.slow

SIDE = 32
APPLICATION = "MobileNet"  # the one with the fewest layers


class Heard(SilentReporter):
    def __init__(self):
        self.epochs = []

    def epoch(self, number, most, figures):
        self.epochs.append((number, most, figures))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An application's weights with and without its classifier."""
    folder = tmp_path_factory.mktemp("weights")
    keras.utils.set_random_seed(3)
    construct = getattr(keras.applications, APPLICATION)
    whole_one = construct(weights=None)
    whole_one.save_weights(folder / "whole.weights.h5")
    base = construct(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3), pooling="avg")
    base.set_weights(whole_one.get_weights()[: len(base.weights)])
    base.save_weights(folder / "no_top.weights.h5")
    with h5py.File(folder / "published.h5", "w") as file:  # as keras.applications' weights are
        save_weights_to_hdf5_group(file, base)
    return folder, base


@pytest.fixture(scope="module")
def planned(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    photos = write_crops(folder / "photos", 12)
    options = TrainingOptions(
        folder=photos,
        name="photos",
        base_path=folder,
        application=APPLICATION,
        weights=str(files[0] / "whole.weights.h5"),
        image_size=(SIDE, SIDE),
        fine_tune=True,
        epochs=2,
        keras_file=folder / "kept.keras",
        test=0.3,
    )
    return plan.make(options, folder, SilentReporter()), options, folder


@pytest.fixture(scope="module")
def trained(planned):
    made, options, folder = planned
    heard = Heard()
    network = TrainedPhotos(made, options, Settings(), folder)(heard)
    history = History.model_validate_json((folder / HISTORY).read_text())
    return network, heard, history


def load(weights, side=SIDE):
    size = (side, side)
    return backbone.load(APPLICATION, str(weights), size, Settings(), SilentReporter())


def test_the_list_of_applications_is_keras_own():
    assert sorted(SIDES) == application_names()


class TestBackbone:
    def test_weights_come_with_or_without_the_classifier(self, files):
        folder, base = files
        images = np.random.default_rng(0).uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)
        expected = base.predict_on_batch(images)
        for name in ("whole.weights.h5", "no_top.weights.h5", "published.h5"):
            loaded = load(folder / name).base
            np.testing.assert_allclose(loaded.predict_on_batch(images), expected, atol=1e-6)

    def test_weights_of_another_network_are_refused(self, tmp_path):
        other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
        other.save_weights(tmp_path / "other.weights.h5")
        with pytest.raises(FailedError, match="fit MobileNet neither without classifier nor with"):
            load(tmp_path / "other.weights.h5")

    def test_without_the_network_it_says_what_to_fetch(self, tmp_path, monkeypatch):
        monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
        monkeypatch.setattr("urllib.request.getproxies", dict)
        nobody = "http://127.0.0.1:9/"
        monkeypatch.setattr("keras.src.applications.mobilenet.BASE_WEIGHT_PATH", nobody)
        with pytest.raises(FailedError, match=r"fetch http\S+_no_top\.h5 elsewhere and pass"):
            load("imagenet", side=224)

    @pytest.mark.parametrize("name", NAMED)
    def test_pixels_are_prepared_as_the_exporter_prepares_them(self, name):
        inputs = keras.Input((4, 5, 3))
        identity = keras.Model(inputs, keras.layers.Identity()(inputs))
        features = backbone.Backbone(identity, NAMED[name]).features(inputs)
        model = keras.Model(inputs, features)
        pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
        expected = np.asarray(in_graph(NAMED[name], pixels))
        np.testing.assert_allclose(model.predict_on_batch(pixels), expected, rtol=1e-5, atol=1e-5)


class TestAugmentation:
    def test_the_seed_says_everything_and_pictures_stay_pictures(self):
        pixels = np.random.default_rng(0).integers(0, 256, (6, 20, 30, 3), dtype=np.uint8)
        first, again, other = (
            augmentation.augment(pixels, np.random.default_rng(seed), mirror=False)
            for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)
        assert (first.shape, first.dtype) == (pixels.shape, np.float32)
        assert 0 <= first.min() < first.max() <= 255

    @pytest.mark.parametrize("mirror", [False, True])
    def test_left_stays_left_unless_it_may_be_mirrored(self, mirror):
        pixels = np.zeros((64, 16, 32, 3), np.uint8)
        pixels[:, :, :16] = 200
        out = augmentation.augment(pixels, np.random.default_rng(0), mirror=mirror)
        brighter_left = out[:, :, :10].mean(axis=(1, 2, 3)) > out[:, :, 22:].mean(axis=(1, 2, 3))
        assert brighter_left.all() != mirror
        assert brighter_left.any()


class TestFrozen:
    def test_it_tells_the_held_out_pictures_apart(self, planned, trained):
        made, network = planned[0], trained[0]
        assert [each.label for each in network.classes] == ["chelsea", "coffee", "rocket"]
        held_out = made.pixels.open()[made.parts.test].astype(np.float32)
        right = network.predict(held_out).argmax(axis=1) == made.truth[made.parts.test]
        assert right.mean() >= 0.6  # a third by guessing; the features are random ones
        assert network.source.weights == "trained from whole.weights.h5"

    def test_golden_files_are_held_out_pictures_as_the_network_sees_them(self, planned, trained):
        made = planned[0]
        held_out = made.pixels.open()[made.parts.test]
        for golden in trained[0].golden_files:
            seen = np.asarray(Image.open(BytesIO(golden.data)))
            assert any(np.array_equal(seen, each) for each in held_out)
        assert len(trained[0].golden_files) == 8

    def test_every_epoch_is_told_and_kept(self, trained):
        _, heard, history = trained
        stages = [stage.name for stage in history.stages]
        assert stages == ["head", "fine-tuning"]
        kept = [figures for stage in history.stages for figures in stage.epochs]
        assert [figures for *_, figures in heard.epochs] == kept

    def test_normalisation_stays_in_inference_mode(self, files, trained):
        """Its statistics and scales are the file's; the last convolution has moved, if any did."""
        network, _, history = trained
        (base,) = (each for each in network.keras_model.layers if isinstance(each, keras.Model))
        pairs = list(zip(base.layers, files[1].layers, strict=True))
        for ours, theirs in pairs:
            if isinstance(ours, keras.layers.BatchNormalization):
                for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
                    np.testing.assert_array_equal(one, other)
        moved = [
            not np.array_equal(ours.get_weights()[0], theirs.get_weights()[0])
            for ours, theirs in pairs
            if isinstance(ours, keras.layers.Conv2D)
        ]
        assert not any(moved[: len(moved) // 2])
        assert moved[-1] == bool(history.stages[1].best)

    def test_the_keras_file_takes_pixels_as_they_are(self, planned, trained):
        made, _, folder = planned
        pixels = made.pixels.open()[:4].astype(np.float32)
        loaded = keras.saving.load_model(folder / KERAS)
        np.testing.assert_allclose(
            loaded.predict_on_batch(pixels), trained[0].predict(pixels), atol=1e-6
        )

    def test_the_same_seed_gives_the_same_head(self, planned):
        made, options, _ = planned
        layers = [keras.layers.AveragePooling2D(8), keras.layers.Flatten()]
        extractor = backbone.Backbone(keras.Sequential(layers), NONE)
        heads = []
        for _ in range(2):
            keras.utils.set_random_seed(options.seed)
            features = head.extract(extractor, made, options, Heard())
            heads.append(head.train(features, made, replace(options, epochs=2), Heard())[0])
        for one, other in zip(*heads, strict=True):
            np.testing.assert_array_equal(one, other)
        copies = made.augmented_copies
        assert len(features.training) == len(made.parts.training) * (1 + copies)
        first, second = np.split(features.training, 1 + copies)[:2]
        assert not np.allclose(first, second, atol=1)


class TestWhole:
    def test_weights_stay_where_no_epoch_is_better(self, planned):
        model, before = self.linear(1e-3)
        stage = self.fit(model, planned[0], to_beat=0.0)
        assert stage.best == 0
        for one, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_a_training_that_runs_away_is_told(self, planned):
        model, _ = self.linear(1e38)
        with pytest.raises(FailedError, match="use a smaller --learning-rate"):
            self.fit(model, planned[0])

    def linear(self, learning_rate):
        layers = [keras.Input((SIDE, SIDE, 3)), keras.layers.Flatten()]
        model = keras.Sequential([*layers, keras.layers.Dense(3, "softmax")])
        fitting.compile_model(model, learning_rate)
        return model, model.get_weights()

    def fit(self, model, made, **options):
        pictures = fitting.Pictures(
            made.pixels.open(), made.truth, made.parts.training, batch_size=8, seed=1
        )
        how = fitting.Fit(stage="any", epochs=2, patience=1)
        return fitting.fit(model, pictures, pictures, how, Heard(), **options)

    def test_batches_are_all_pictures_in_a_new_order_each_epoch(self, planned):
        made = planned[0]
        positions = made.parts.training
        pictures = fitting.Pictures(
            made.pixels.open(),
            made.truth,
            positions,
            batch_size=8,
            seed=1,
            weights={0: 1, 1: 2, 2: 3},
        )
        orders = []
        for _ in range(2):
            batches = [pictures[number] for number in range(len(pictures))]
            truth = np.concatenate([batch[1] for batch in batches])
            assert sorted(truth) == sorted(made.truth[positions])
            assert np.concatenate([batch[2] for batch in batches]).tolist() == (truth + 1).tolist()
            orders.append(np.concatenate([batch[0] for batch in batches]))
            pictures.on_epoch_end()
        assert not np.array_equal(*orders)
        assert np.array_equal(*(np.sort(order, axis=0) for order in orders))
