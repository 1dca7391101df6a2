"""What the first layers do to pixels is found, nested or written as arithmetic, and said."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from contract.card import Source
from exporter.preprocessing import NONE, RESCALE, TF
from exporter.sources.keras_file import from_keras
from exporter.sources.rescaling import describe, note

layers = keras.layers
SHAPE = (8, 8, 3)


def classifier(*first):
    return keras.Sequential([keras.Input(SHAPE), *first, layers.Flatten(), layers.Dense(2)])


def functional(first):
    images = keras.Input(SHAPE)
    return keras.Model(images, layers.Dense(2)(layers.Flatten()(first(images))))


def network(model):
    return from_keras(model, Source(kind="keras", name="m.keras"))


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (classifier(layers.Rescaling(1 / 255, name="r")), "layer r: x/255"),
        (classifier(layers.Rescaling(1 / 127.5, -1, name="r")), "layer r: x/127.5-1"),
        (classifier(layers.Rescaling(0.0123, name="r")), "layer r: x*0.0123"),
        (
            classifier(layers.Rescaling([1, 2, 3], name="r")),
            "layer r: x*scale+offset, channel by channel",
        ),
        (
            classifier(layers.Normalization(mean=[1, 2, 3], variance=[1, 1, 1], name="n")),
            "layer n: (x-mean)/deviation",
        ),
        (
            classifier(layers.RandomFlip(), layers.ZeroPadding2D(), layers.Rescaling(2, name="r")),
            "layer r: x*2",
        ),
        (
            classifier(keras.Sequential([keras.Input(SHAPE), layers.Rescaling(1 / 255, name="r")])),
            "layer r: x/255",
        ),
        (
            functional(keras.Sequential([layers.Rescaling(1 / 255, name="r")])),
            "layer r: x/255",
        ),
    ],
)
def test_layers_that_rescale_are_found_however_deep(model, found):
    assert describe(model) == found


@pytest.mark.parametrize(
    ("first", "found"),
    [
        (lambda x: x / 127.5 - 1, ["x/127.5", "x-1"]),
        (lambda x: x * 0.5 + 3, ["x*0.5", "x+3"]),
        (lambda x: 1 - x, ["1-x"]),
        (lambda x: x[..., ::-1] - np.float32([1, 2, 3]), ["x-1/2/3"]),
    ],
)
def test_arithmetic_in_the_models_own_code_is_found(first, found):
    steps = describe(functional(first)).split(", ")
    assert [step.partition(": ")[2] for step in steps] == found


@pytest.mark.parametrize(
    "model",
    [
        classifier(),
        classifier(layers.Conv2D(3, 1), layers.Rescaling(1 / 255)),
        functional(lambda x: layers.Subtract()([x, x])),
        functional(lambda x: x - keras.ops.mean(x)),
    ],
)
def test_later_layers_and_sums_of_tensors_are_no_rescaling(model):
    assert describe(model) is None


def test_notes_say_what_was_found_and_shout_when_nothing_was():
    plain, rescaling = network(classifier()), network(classifier(layers.Rescaling(1 / 255)))
    assert "EVERY ANSWER IS WRONG" in note(plain, None)
    assert "it rescales inside (layer rescaling" in note(rescaling, None)
    assert "rescaled twice" in note(rescaling, RESCALE)
    assert note(plain, NONE) is None
    assert note(plain, TF) is None
    assert note(rescaling, NONE) is None


def test_a_mode_that_an_application_was_not_trained_with_is_named():
    trained = replace(network(classifier()), preprocess=TF)
    assert note(trained, None) is None
    assert note(trained, TF) is None
    assert "was trained with tf" in note(trained, RESCALE)


def test_of_a_graph_that_cannot_be_looked_into_nothing_is_claimed():
    opaque = replace(network(classifier()), source=Source(kind="saved_model", name="m"))
    assert "nobody can see whether it rescales them" in note(opaque, None)
    assert "no layer was found in it that rescales them" in note(network(classifier()), None)
