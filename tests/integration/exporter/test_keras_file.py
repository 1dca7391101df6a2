"""Whole Keras models are loaded; everything else is refused in one line."""

import json
import zipfile

import keras
import numpy as np
import pytest

from contract.card import Source
from exporter.errors import FailedError, RefusedError, UsageError
from exporter.sources.keras_file import from_keras, load_keras
from exporter.sources.tensor_names import TensorNames
from tests.support.exporter_models import CLASSES, SIDE, require_same_answers, tiny_keras


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:.*HDF5 file.*legacy")  # Keras' advice; .h5 is our input
def test_whole_models_are_loaded(tmp_path, suffix):
    model = tiny_keras()
    model.save(tmp_path / f"m{suffix}")
    network = load_keras(tmp_path / f"m{suffix}")
    assert (network.height, network.width, network.class_count) == (SIDE, SIDE, CLASSES)
    assert network.final_activation == "softmax"
    assert network.rescaling.endswith(": x/64-2")
    assert (network.channels, network.precision) == (3, "float32")
    assert network.preprocess is None
    require_same_answers(network, model)


def test_the_digest_is_of_the_weights_and_not_of_the_file(tmp_path):
    model = tiny_keras()
    model.save(tmp_path / "a.keras")
    model.save(tmp_path / "b.keras")
    digests = {load_keras(tmp_path / f"{n}.keras").source.weights_sha256 for n in "ab"}
    assert len(digests) == 1
    model.layers[-1].set_weights([w + 1 for w in model.layers[-1].get_weights()])
    model.save(tmp_path / "c.keras")
    assert load_keras(tmp_path / "c.keras").source.weights_sha256 not in digests


def test_weights_alone_are_no_model(tmp_path):
    tiny_keras().save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(UsageError, match="--application NAME --weights FILE"):
        load_keras(tmp_path / "m.weights.h5")


@pytest.mark.parametrize("name", ["m.onnx", "m.tflite", "m.pt"])
def test_other_formats_are_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x08\x07")
    with pytest.raises(UsageError, match=r"end in \.keras or \.h5; other formats: --onnx"):
        load_keras(tmp_path / name)


def test_missing_and_damaged_files_are_one_line(tmp_path):
    with pytest.raises(UsageError, match="there is no such file"):
        load_keras(tmp_path / "m.keras")
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(FailedError) as caught:
        load_keras(tmp_path / "m.keras")
    assert "\n" not in str(caught.value)


def test_what_is_no_image_classifier_is_refused(tmp_path):
    layers = keras.layers
    flat = keras.Sequential([keras.Input((10,)), layers.Dense(3)])
    planes = keras.Sequential([keras.Input((3, 8, 8)), layers.Flatten(), layers.Dense(3)])
    mask = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 1)])
    for model, complaint in (
        (flat, "no batch of RGB or grey images"),
        (planes, "channels first"),
        (mask, "not one row of scores per image"),
    ):
        model.save(tmp_path / "m.keras")
        with pytest.raises(UsageError, match=complaint):
            load_keras(tmp_path / "m.keras")


def test_two_inputs_are_refused(tmp_path):
    inputs = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    added = keras.layers.Flatten()(keras.layers.Add()(inputs))
    keras.Model(inputs, keras.layers.Dense(2)(added)).save(tmp_path / "m.keras")
    with pytest.raises(UsageError, match=r"need the inputs \S+, \S+, and a picture is all"):
        load_keras(tmp_path / "m.keras")


def test_a_layer_that_claims_gigabytes_is_stopped(tiny, tmp_path):
    """TensorFlow tries for ten seconds before it gives an allocation up."""
    file = tmp_path / "bomb.keras"
    with zipfile.ZipFile(tiny[1]) as honest, zipfile.ZipFile(file, "w") as bomb:
        config = json.loads(honest.read("config.json"))
        config["config"]["layers"][-1]["config"]["units"] = 10**9
        bomb.writestr("config.json", json.dumps(config))
        for name in ("metadata.json", "model.weights.h5"):
            bomb.writestr(name, honest.read(name))
    with pytest.raises(RefusedError, match="far more memory than its weights explain"):
        load_keras(file)


def test_a_lambda_is_refused_with_our_way(tmp_path):
    file = tmp_path / "lambda.keras"
    layers = [keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x), keras.layers.Flatten()]
    keras.Sequential(layers).save(file)
    with pytest.raises(FailedError, match=r"Lambda .* --custom-objects FILE\.py, or .*export\(DIR"):
        load_keras(file)


def test_a_custom_layer_is_named(tmp_path):
    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    keras.Sequential([keras.Input((8, 8, 3)), Twice()]).save(tmp_path / "custom.keras")
    with pytest.raises(FailedError, match="its class Twice is not Keras' own; bring it with"):
        load_keras(tmp_path / "custom.keras")


def test_an_input_that_the_scores_do_not_need_is_left_out(tmp_path):
    images, extra = keras.Input((8, 8, 3), name="photo"), keras.Input((2,), name="extra")
    scores = keras.layers.Dense(2, name="scores")(keras.layers.Flatten()(images))
    both = keras.layers.Add(name="both")([scores, extra])
    keras.Model([images, extra], [scores, both]).save(tmp_path / "m.keras")
    network = load_keras(tmp_path / "m.keras", TensorNames(output="scores"))
    assert network.predict(np.zeros((3, 8, 8, 3), np.float32)).shape == (3, 2)
    with pytest.raises(UsageError, match="need the inputs photo, extra"):
        load_keras(tmp_path / "m.keras", TensorNames(output="both"))
    with pytest.raises(UsageError, match="--input picture: there are only: extra, photo"):
        load_keras(tmp_path / "m.keras", TensorNames(input="picture", output="scores"))


@pytest.mark.parametrize("is_named", [True, False])
def test_one_of_several_outputs_is_chosen_by_its_key_or_layer(tmp_path, is_named):
    images = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(images)
    species = keras.layers.Dense(4, activation="softmax", name="first")(flat)
    colour = keras.layers.Dense(3, activation="sigmoid", name="second")(flat)
    outputs = {"species": species, "colour": colour} if is_named else [species, colour]
    model = keras.Model(images, outputs)
    model.save(tmp_path / "m.keras")
    names = ["colour", "species"] if is_named else ["first", "second"]
    with pytest.raises(UsageError, match=f"which output .* one of: {', '.join(names)}"):
        load_keras(tmp_path / "m.keras")
    network = load_keras(tmp_path / "m.keras", TensorNames(output=names[1]))
    assert network.final_activation == ("softmax" if is_named else "sigmoid")
    pixels = np.random.default_rng(2).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    answers = model.predict(pixels, verbose=0)
    expected = answers["species"] if is_named else answers[1]
    np.testing.assert_allclose(network.predict(pixels), expected, atol=1e-6)
    np.testing.assert_allclose(network.call(pixels), expected, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
def test_the_precision_is_that_of_the_coarsest_layer_however_deep(policy):
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3, dtype=policy)]
    )
    model = keras.Sequential([keras.Input((8, 8, 3)), inner, keras.layers.Softmax()])
    network = from_keras(model, Source(kind="keras", name="m"))
    assert model.compute_dtype == "float32"
    assert network.precision == policy.removeprefix("mixed_")
