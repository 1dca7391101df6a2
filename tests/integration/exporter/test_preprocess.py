"""Preprocessing in the graph against keras.applications, mode by mode."""

from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from exporter import catalog, preprocess
from exporter.choices import Preprocess
from exporter.errors import UsageError

PIXELS = np.random.default_rng(4).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_the_graph_does_what_keras_does(mode):
    expected = keras.applications.imagenet_utils.preprocess_input(
        PIXELS.astype(np.float32), mode=mode
    )
    np.testing.assert_allclose(preprocess.in_graph(mode, PIXELS), expected, atol=1e-4)


def test_rescale_and_none_do_what_they_say():
    np.testing.assert_allclose(preprocess.in_graph("rescale", PIXELS), PIXELS / 255, atol=1e-6)
    np.testing.assert_array_equal(preprocess.in_graph("none", PIXELS), PIXELS)
    assert preprocess.in_graph("none", PIXELS, tf.uint8).dtype == tf.uint8


@pytest.mark.parametrize("mode", get_args(Preprocess))
def test_the_reference_agrees_and_leaves_its_input_alone(mode):
    pixels = PIXELS.astype(np.float32)
    reference = preprocess.reference(mode)(pixels)
    np.testing.assert_allclose(preprocess.in_graph(mode, PIXELS), reference, atol=1e-4)
    np.testing.assert_array_equal(pixels, PIXELS)


@pytest.mark.parametrize("mode", get_args(Preprocess))
def test_a_mode_is_recognised_by_what_it_does(mode):
    assert preprocess.identify(preprocess.reference(mode)) == mode


def test_an_unknown_function_is_not_taken_for_a_known_one():
    assert preprocess.identify(lambda pixels: pixels / 128) is None


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("MobileNetV2", "tf"),
        ("ResNet50", "caffe"),
        ("DenseNet121", "torch"),
        ("EfficientNetB0", "none"),
        ("MobileNetV3Small", "none"),
        ("InceptionV3", "tf"),
        ("ConvNeXtTiny", "none"),
    ],
)
def test_an_applications_mode_is_found_in_its_module(name, mode):
    assert catalog.find_application(name).preprocess == mode


def test_every_application_of_keras_is_in_the_catalog():
    names = catalog.application_names()
    assert len(names) >= 38
    assert all(catalog.find_application(name).preprocess for name in names)


def test_applications_are_found_whatever_their_capitals():
    assert catalog.find_application("mobilenetv2").name == "MobileNetV2"


def test_a_misspelled_application_gets_suggestions():
    with pytest.raises(UsageError, match="did you mean: ResNet50"):
        catalog.find_application("ResNet5O")
