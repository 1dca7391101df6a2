"""A small network through both engines, each in a process of its own."""

import argparse

import numpy as np
import pytest
import tensorflow as tf

from bench.engine_contestant import OPENVINO_F32, Contestant, ContestantError
from bench.engine_race import compare, convert, race
from bench.engine_subject import Subject, crops, settle_logits
from exporter.graph.freeze import freeze, trace

SIDE = 32
CLASSES = 5


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    random = np.random.default_rng(0)
    kernel = tf.Variable(random.normal(size=(3, 3, 3, CLASSES)).astype(np.float32))

    def score(images):
        mapped = tf.nn.conv2d(tf.cast(images, tf.float32) / 255, kernel, 2, "SAME")
        return tf.nn.softmax(tf.reduce_mean(tf.nn.relu(mapped), [1, 2]))

    frozen = freeze(*trace(score, height=SIDE, width=SIDE), "always")
    graph = tmp_path_factory.mktemp("subject") / "frozen.pb"
    graph.write_bytes(frozen.take().SerializeToString())
    pixels = crops(9, SIDE, SIDE, seed=2)
    return Subject(graph, frozen.input_name, frozen.output_name, pixels)


def test_both_engines_answer_alike_and_take_turns(subject, tmp_path):
    arguments = argparse.Namespace(rounds=2, round_seconds=0.01)
    convert(subject, tmp_path / "model.xml")
    result = race(subject, tmp_path / "model.xml", arguments)
    engines = result["engines"]
    assert list(engines) == ["tensorflow", "openvino_f32", "openvino_bf16"]
    assert engines["openvino_f32"]["difference"] < 1e-5
    assert engines["openvino_f32"]["top_1_agreement"] == 1
    assert engines["openvino_bf16"]["difference"] < 0.05
    for engine in engines.values():
        assert engine["batch_difference"] < 1e-5
        assert engine["memory_bytes"] > 10_000_000
        for size in ("1", "8"):
            assert len(engine["batches"][size]["images_per_second"]) == 2
            assert min(engine["batches"][size]["images_per_second"]) > 0
    assert result["spread"] > 0.01


def test_an_engine_that_fails_says_its_words_and_its_process_ends(tmp_path):
    missing = tmp_path / "missing.xml"
    with Contestant(OPENVINO_F32, missing, "", "") as contestant:
        with pytest.raises(ContestantError, match=r"(?s)^openvino_f32: .*missing\.xml"):
            contestant.ask("load", np.zeros((1, SIDE, SIDE, 3), np.uint8))
        contestant._process.kill()
        with pytest.raises(ContestantError, match="its process ended with -9"):
            contestant.ask("memory_bytes")


def test_comparison_counts_classes_and_measures_logits():
    reference = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], np.float32)
    assert compare(reference, reference) == {
        "difference": 0.0, "log_difference": 0.0, "top_1_agreement": 1.0,
    }  # fmt: skip
    swapped = np.array([[0.2, 0.7, 0.1], [0.1, 0.8, 0.1]], np.float32)
    compared = compare(reference, swapped)
    assert compared["difference"] == pytest.approx(0.5)
    assert compared["top_1_agreement"] == 0.5
    # Logits are logarithms: the two that changed places are log(3.5) apart.
    logits = np.log(reference) - np.log(reference).mean(axis=1, keepdims=True)
    error = np.sqrt(2 * np.log(3.5) ** 2 / (logits**2).sum())
    assert compared["log_difference"] == pytest.approx(error, rel=1e-4)


def test_settled_logits_differ_from_image_to_image():
    import keras  # noqa: PLC0415 - TensorFlow's, slow to import

    keras.utils.set_random_seed(1)
    layers = keras.layers
    pixels = layers.Input((SIDE, SIDE, 3))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(16, 3, activation="relu")(pixels))
    model = keras.Model(pixels, layers.Dense(CLASSES, activation="softmax")(features))
    images = crops(16, SIDE, SIDE, seed=1).astype(np.float32) / 255
    settle_logits(model, images, 8)
    answers = model.predict(images, verbose=0)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    assert len(set(answers.argmax(axis=1))) > 2
    logits = np.log(answers)
    deviations = (logits - logits.mean(axis=1, keepdims=True)).std(axis=0)
    assert deviations.min() > 1
