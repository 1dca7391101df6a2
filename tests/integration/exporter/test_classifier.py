"""Task, activation and preprocessing are found out, or asked for, or refused."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from contract.card import Source
from exporter.classifier import make_classifier
from exporter.errors import RefusedError, UsageError
from exporter.freeze import freeze, trace
from exporter.sources import from_keras
from tests.support.exporter_models import SIDE, tiny_keras

PIXELS = np.random.default_rng(9).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
SOURCE = Source(kind="keras", name="m.keras")


def network(**options):
    return from_keras(tiny_keras(**options), SOURCE)


def answering(scores, activation=None):
    """A network that gives these scores, whatever it is shown."""
    row = tf.constant([scores], tf.float32)
    return replace(
        network(),
        call=lambda x: tf.repeat(row, tf.shape(x)[0], axis=0),
        predict=lambda x: np.repeat(np.array([scores], np.float32), len(x), axis=0),
        final_activation=activation,
    )


def require_consistent(classifier):
    np.testing.assert_allclose(
        classifier.classify(tf.constant(PIXELS)), classifier.reference(PIXELS), atol=1e-5
    )


def test_softmax_is_left_alone():
    classifier = make_classifier(network(), PIXELS)
    assert (classifier.task, classifier.activation) == ("single_label", "none")
    require_consistent(classifier)


def test_logits_get_the_softmax_that_they_lack():
    classifier = make_classifier(network(activation=None), PIXELS)
    assert (classifier.task, classifier.activation) == ("single_label", "softmax")
    np.testing.assert_allclose(classifier.reference(PIXELS).sum(axis=1), 1, atol=1e-5)
    require_consistent(classifier)


def test_logits_of_several_labels_get_a_sigmoid():
    classifier = make_classifier(network(activation=None), PIXELS, task="multi_label")
    assert classifier.activation == "sigmoid"
    require_consistent(classifier)


def test_a_sigmoid_at_the_end_means_several_labels():
    classifier = make_classifier(network(activation="sigmoid"), PIXELS)
    assert (classifier.task, classifier.activation) == ("multi_label", "none")


def test_an_activation_that_is_asked_for_is_added():
    classifier = make_classifier(network(activation=None), PIXELS, activation="sigmoid",
                                 task="multi_label")  # fmt: skip
    assert classifier.activation == "sigmoid"


def test_scores_that_fit_neither_task_are_asked_about():
    with pytest.raises(UsageError, match="say --task multi_label"):
        make_classifier(answering([0.9, 0.8, 0.1]), PIXELS)


def test_logits_without_activation_are_refused_when_none_is_asked_for():
    with pytest.raises(RefusedError, match="no probabilities; say --activation"):
        make_classifier(answering([4.0, -2.0]), PIXELS, activation="none")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused(bad):
    with pytest.raises(RefusedError, match="NaN or infinity"):
        make_classifier(answering([0.5, bad]), PIXELS)


def test_a_network_that_fails_on_its_images_is_refused_in_one_line():
    def fail(_):
        raise tf.errors.FailedPreconditionError(None, None, "Could not find variable w\nmore")

    with pytest.raises(RefusedError, match="variables did not come along") as caught:
        make_classifier(replace(network(), predict=fail), PIXELS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["none", "tf", "torch", "caffe", "rescale"])
def test_every_preprocessing_is_the_same_in_graph_and_reference(mode):
    require_consistent(make_classifier(network(), PIXELS, mode=mode))


def test_the_sources_own_preprocessing_is_used_for_the_reference():
    seen = []

    def own(pixels):
        seen.append(len(pixels))
        return keras.applications.mobilenet_v2.preprocess_input(pixels)

    make_classifier(replace(network(), preprocess="tf", preprocess_input=own), PIXELS)
    assert seen == [len(PIXELS)]


def test_half_precision_networks_answer_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = network()
    finally:
        keras.config.set_dtype_policy("float32")
    classifier = make_classifier(half, PIXELS)
    assert classifier.classify(tf.constant(PIXELS)).dtype == tf.float32
    assert half.precision == "float16"


class TestFreezing:
    @pytest.fixture
    def traced(self):
        classifier = make_classifier(network(), PIXELS)
        return classifier, *trace(classifier.classify, height=SIDE, width=SIDE)

    def test_the_weights_are_summed_up(self, traced):
        _, _, weight_bytes = traced
        # 3x3x3x8 + 8 of the convolution, 8x12 + 12 behind it; 4 bytes each
        assert weight_bytes == 4 * (3 * 3 * 3 * 8 + 8 + 8 * 12 + 12)

    def test_a_frozen_function_has_no_variables_and_the_same_answers(self, traced):
        classifier, concrete, weight_bytes = traced
        frozen, is_frozen = freeze(concrete, weight_bytes, "auto")
        assert is_frozen
        np.testing.assert_allclose(
            frozen(tf.constant(PIXELS)), classifier.reference(PIXELS), atol=1e-5
        )
        outer = tf.function(frozen).get_concrete_function(tf.constant(PIXELS))
        assert not outer.variables
        assert not outer.captured_inputs

    @pytest.mark.parametrize(("choice", "weight_bytes"), [("auto", 2_500_000_000), ("never", 100)])
    def test_variables_are_kept_when_too_large_or_asked_for(self, traced, choice, weight_bytes):
        assert freeze(traced[1], weight_bytes, choice) == (traced[1], False)

    def test_always_refuses_what_does_not_fit(self, traced):
        with pytest.raises(RefusedError, match=r"2\.5 GB of weights"):
            freeze(traced[1], 2_500_000_000, "always")

    def test_a_graph_with_a_table_is_left_as_it_is(self):
        keys = tf.lookup.KeyValueTensorInitializer([0, SIDE], [5, 6])
        table = tf.lookup.StaticHashTable(keys, 0)

        def classify(images):
            found = tf.cast(table.lookup(tf.shape(images)[1:2]), tf.float32)
            return tf.repeat(found[tf.newaxis], tf.shape(images)[0], axis=0)

        concrete, weight_bytes = trace(classify, height=SIDE, width=SIDE)
        assert freeze(concrete, weight_bytes, "auto") == (concrete, False)
        with pytest.raises(RefusedError, match=r"lookup tables .* use --freeze auto"):
            freeze(concrete, weight_bytes, "always")
