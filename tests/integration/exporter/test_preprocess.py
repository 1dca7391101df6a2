"""Preprocessing in the graph against keras.applications, mode by mode."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from exporter.errors import UsageError
from exporter.preprocessing import NAMED, NONE, RESCALE, parse
from exporter.sources import grey, preprocess

PIXELS = np.random.default_rng(4).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_the_graph_does_what_keras_does(mode):
    expected = keras.applications.imagenet_utils.preprocess_input(
        PIXELS.astype(np.float32), mode=mode
    )
    np.testing.assert_allclose(preprocess.in_graph(parse(mode), PIXELS), expected, atol=1e-4)


def test_rescale_and_none_do_what_they_say():
    np.testing.assert_allclose(preprocess.in_graph(RESCALE, PIXELS), PIXELS / 255, atol=1e-6)
    np.testing.assert_array_equal(preprocess.in_graph(NONE, PIXELS), PIXELS)
    assert preprocess.in_graph(NONE, PIXELS, tf.uint8).dtype == tf.uint8


@pytest.mark.parametrize(
    "mode",
    [
        *NAMED.values(),
        parse("mean=127,scale=128"),
        parse("mean=123.68/116.779/103.939,scale=58.4/57.1/57.4"),
        parse("mean=1/2/3,scale=4/5/6,order=bgr"),
    ],
    ids=str,
)
def test_the_reference_agrees_and_leaves_its_input_alone(mode):
    pixels = PIXELS.astype(np.float32)
    reference = preprocess.reference(mode)(pixels)
    np.testing.assert_allclose(preprocess.in_graph(mode, PIXELS), reference, atol=1e-4)
    np.testing.assert_array_equal(pixels, PIXELS)


@pytest.mark.parametrize("mode", preprocess.named_modes(), ids=str)
def test_a_mode_is_recognised_by_what_it_does(mode):
    assert preprocess.identify(preprocess.reference(mode)) == mode


def test_an_unknown_function_is_not_taken_for_a_known_one():
    assert preprocess.identify(lambda pixels: pixels / 128) is None


def test_figures_are_those_of_the_channels_in_their_order():
    red = np.array([[[[255, 0, 0]]]], dtype=np.uint8)
    seen = preprocess.in_graph(parse("mean=1/2/3,scale=1/1/2,order=bgr"), red)
    np.testing.assert_allclose(seen, [[[[-1, -2, 126]]]])


def test_grey_in_the_graph_is_pillows_grey_for_every_colour_of_a_lattice():
    levels = np.array([*range(0, 256, 5), 1, 254], dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, len(levels), 3)
    seen = grey.in_graph(tf.constant(colours))
    assert seen.dtype == tf.uint8
    np.testing.assert_array_equal(seen, grey.reference(colours))


@pytest.mark.parametrize("mode", ["none", "tf", "rescale", "mean=127,scale=128"])
def test_grey_pictures_are_preprocessed_alike_on_both_sides(mode):
    plane = PIXELS[..., :1]
    reference = preprocess.reference(parse(mode))(plane.astype(np.float32))
    seen = preprocess.in_graph(parse(mode), plane)
    assert seen.shape == plane.shape
    np.testing.assert_allclose(seen, reference, atol=1e-5)


@pytest.mark.parametrize("mode", ["torch", "caffe", "order=bgr"])
def test_figures_per_channel_do_not_go_with_grey_pictures(mode):
    preprocess.require_fitting(parse(mode), 3)
    with pytest.raises(UsageError, match="takes grey pictures; write one figure"):
        preprocess.require_fitting(parse(mode), 1)
