"""Preprocessing in the graph against keras.applications, mode by mode."""

from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from exporter.options import Preprocess
from exporter.sources import preprocess

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
