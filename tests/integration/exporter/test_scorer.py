"""Task, activation and preprocessing are found out, or asked for, or refused."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from contract.card import Source
from exporter.errors import RefusedError, UsageError
from exporter.graph.ending import Ending
from exporter.graph.scorer import make_scorer, predictors
from exporter.preprocessing import TF, parse
from exporter.sources.keras_file import from_keras
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


def require_consistent(scorer):
    np.testing.assert_allclose(
        scorer.score(tf.constant(PIXELS)), scorer.reference(PIXELS), atol=1e-5
    )


def test_softmax_is_left_alone():
    scorer = make_scorer(network(), PIXELS)
    assert (scorer.task, scorer.activation) == ("single_label", "none")
    require_consistent(scorer)


def test_logits_get_the_softmax_that_they_lack():
    scorer = make_scorer(network(activation=None), PIXELS)
    assert (scorer.task, scorer.activation) == ("single_label", "softmax")
    np.testing.assert_allclose(scorer.reference(PIXELS).sum(axis=1), 1, atol=1e-5)
    require_consistent(scorer)


def test_logits_of_several_labels_get_a_sigmoid():
    scorer = make_scorer(network(activation=None), PIXELS, task="multi_label")
    assert scorer.activation == "sigmoid"
    require_consistent(scorer)


def test_a_sigmoid_at_the_end_means_several_labels():
    scorer = make_scorer(network(activation="sigmoid"), PIXELS)
    assert (scorer.task, scorer.activation) == ("multi_label", "none")


def test_an_activation_that_is_asked_for_is_added():
    scorer = make_scorer(network(activation=None), PIXELS, activation="sigmoid",
                                 task="multi_label")  # fmt: skip
    assert scorer.activation == "sigmoid"


def test_scores_that_fit_neither_task_are_asked_about():
    with pytest.raises(UsageError, match="say --task multi_label"):
        make_scorer(answering([0.9, 0.8, 0.1]), PIXELS)


def test_logits_without_activation_are_refused_when_none_is_asked_for():
    with pytest.raises(RefusedError, match="no probabilities; say --activation"):
        make_scorer(answering([4.0, -2.0]), PIXELS, activation="none")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused(bad):
    with pytest.raises(RefusedError, match="NaN or infinity"):
        make_scorer(answering([0.5, bad]), PIXELS)


def test_a_network_that_fails_on_its_images_is_refused_in_one_line():
    def fail(_):
        raise tf.errors.FailedPreconditionError(None, None, "Could not find variable w\nmore")

    with pytest.raises(RefusedError, match="variables did not come along") as caught:
        make_scorer(replace(network(), predict=fail), PIXELS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "mode", ["none", "tf", "torch", "caffe", "rescale", "mean=1/2/3,order=bgr"]
)
def test_every_preprocessing_is_the_same_in_graph_and_reference(mode):
    require_consistent(make_scorer(network(), PIXELS, mode=parse(mode)))


def test_the_sources_own_preprocessing_is_used_for_the_reference():
    seen = []

    def own(pixels):
        seen.append(len(pixels))
        return keras.applications.mobilenet_v2.preprocess_input(pixels)

    make_scorer(replace(network(), preprocess=TF, preprocess_input=own), PIXELS)
    assert seen == [len(PIXELS)]


def test_half_precision_networks_answer_in_float32():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = network()
    finally:
        keras.config.set_dtype_policy("float32")
    scorer = make_scorer(half, PIXELS)
    assert scorer.score(tf.constant(PIXELS)).dtype == tf.float32
    assert half.precision == "float16"


def test_one_logit_is_two_classes():
    logits = network(activation=None, classes=1)
    scorer = make_scorer(logits, PIXELS)
    assert (scorer.task, scorer.activation, scorer.class_count) == ("single_label", "sigmoid", 2)
    second = 1 / (1 + np.exp(-logits.predict(PIXELS.astype(np.float32))))
    expected = np.concatenate([1 - second, second], axis=1)
    np.testing.assert_allclose(scorer.reference(PIXELS), expected, atol=1e-6)
    require_consistent(scorer)


def test_one_probability_is_two_classes_and_left_alone():
    sigmoid = network(activation="sigmoid", classes=1)
    scorer = make_scorer(sigmoid, PIXELS)
    assert (scorer.task, scorer.activation, scorer.is_binary) == ("single_label", "none", True)
    second = sigmoid.predict(PIXELS.astype(np.float32))[:, 0]
    np.testing.assert_allclose(scorer.reference(PIXELS)[:, 1], second, atol=1e-6)
    require_consistent(scorer)


def test_one_output_may_be_one_label_that_an_image_has_or_not():
    scorer = make_scorer(network(activation=None, classes=1), PIXELS, task="multi_label")
    assert (scorer.task, scorer.activation, scorer.class_count) == ("multi_label", "sigmoid", 1)
    require_consistent(scorer)


def test_a_timid_logit_is_known_by_its_layer():
    """Logits may all lie in 0..1; what came out of a dense layer is no probability."""
    timid = answering([0.3], "linear")
    assert make_scorer(timid, PIXELS).activation == "sigmoid"
    ending = Ending((), is_linear=True)
    assert make_scorer(answering([0.3]), PIXELS, ending=ending).activation == "sigmoid"
    assert make_scorer(answering([0.3, 0.9]), PIXELS, ending=ending).activation == "softmax"
    scorer = make_scorer(answering([0.3, 0.9]), PIXELS, ending=ending, task="multi_label")
    assert scorer.activation == "sigmoid"


def test_one_score_of_unknown_making_in_0_to_1_is_asked_about():
    ending = Ending((), is_linear=False)
    with pytest.raises(UsageError, match="--activation none if it is a probability"):
        make_scorer(answering([0.3]), PIXELS, ending=ending)
    scorer = make_scorer(answering([0.3]), PIXELS, ending=ending, activation="none")
    assert scorer.reference(PIXELS)[0].tolist() == pytest.approx([0.7, 0.3])


def test_an_activation_says_which_task_it_is_for():
    """As the error about scores in 0..1 advises."""
    timid = answering([0.3, 0.9])
    with pytest.raises(UsageError, match="or --activation softmax for logits"):
        make_scorer(timid, PIXELS)
    assert make_scorer(timid, PIXELS, activation="softmax").task == "single_label"
    assert make_scorer(timid, PIXELS, activation="sigmoid").task == "multi_label"


def test_a_softmax_and_several_labels_contradict_each_other():
    with pytest.raises(UsageError, match="leave --task multi_label out"):
        make_scorer(network(activation=None), PIXELS, activation="softmax", task="multi_label")


def test_a_source_that_takes_only_some_batch_sizes_is_told_from_a_broken_one():
    honest = network()

    def even_only(x):
        if len(x) % 2:
            raise ValueError("odd")
        return honest.predict(x)

    with pytest.raises(RefusedError, match="fails with 1, 3 images") as caught:
        make_scorer(replace(honest, predict=even_only), PIXELS)
    assert caught.value.step == "behaviour"


@pytest.mark.parametrize(
    ("channels", "names"),
    [(1, {"none", "tf", "rescale"}), (3, {"none", "tf", "rescale", "torch", "caffe"})],
)
def test_the_source_is_asked_behind_every_named_mode_that_fits_it(channels, names):
    layers = [keras.Input((SIDE, SIDE, channels)), keras.layers.Flatten(), keras.layers.Dense(3)]
    source = from_keras(keras.Sequential(layers), SOURCE)
    by_mode = predictors(source)
    assert set(by_mode) == names
    scores = {name: predict(PIXELS) for name, predict in by_mode.items()}
    assert {each.shape for each in scores.values()} == {(len(PIXELS), 3)}
    for name in names:
        expected = make_scorer(source, PIXELS, mode=parse(name)).reference(PIXELS)
        np.testing.assert_array_equal(scores[name].argmax(axis=1), expected.argmax(axis=1))


def test_grey_networks_see_the_grey_of_colour_pictures():
    layers = keras.layers
    grey = from_keras(
        keras.Sequential(
            [keras.Input((SIDE, SIDE, 1)), layers.Flatten(), layers.Dense(3, activation="softmax")]
        ),
        SOURCE,
    )
    scorer = make_scorer(grey, PIXELS, mode=TF)
    require_consistent(scorer)
    assert scorer.score(tf.constant(PIXELS)).shape == (len(PIXELS), 3)
    with pytest.raises(UsageError, match="takes grey pictures"):
        make_scorer(grey, PIXELS, mode=parse("torch"))
