"""Grouped convolutions leave XLA behind and answer as before, whatever the source and the build."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from exporter.graph.freeze import freeze, trace
from exporter.graph.grouped_convolutions import run_natively
from exporter.sources.saved_model import TensorNames, load_saved_model

ROOT = Path(__file__).resolve().parents[3]
SIDE = 16
PIXELS = np.random.default_rng(4).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
MARK = "_XlaMustCompile"


def grouped_network():
    """Each kind once: one channel per group, two filters for it, groups of several, strides."""
    # Zero biases would be optimised away, and nothing be left to fuse a convolution with.
    conv = functools.partial(keras.layers.Conv2D, bias_initializer="random_normal")
    keras.utils.set_random_seed(6)
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Rescaling(1 / 255),
            conv(12, 1),
            conv(12, 7, groups=12, padding="same"),
            conv(36, 3, groups=12, strides=2, activation="relu"),
            conv(24, 3, groups=4, padding="same", activation="relu"),
            conv(24, 3, groups=6, dilation_rate=2, padding="same", use_bias=False),
            conv(8, 3, groups=4, strides=(1, 2)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(5, kernel_initializer=keras.initializers.RandomNormal(stddev=2.0)),
        ]
    )


@pytest.fixture(scope="module")
def network():
    return grouped_network()


@pytest.fixture(scope="module")
def expected(network):
    """By Keras itself, which has XLA compile them."""
    return network.predict(PIXELS.astype(np.float32), verbose=0)


@pytest.fixture(scope="module")
def saved_model(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "grouped"
    spec = tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "x")
    module = tf.Module()
    module.network = network
    serve = tf.function(lambda x: {"y": network(x, training=False)}, input_signature=[spec])
    tf.saved_model.save(module, str(path), signatures=serve)
    return load_saved_model(path, TensorNames())


@pytest.fixture(params=["keras", "saved_model"])
def traced(request, network, saved_model):
    call = network if request.param == "keras" else saved_model.call
    return trace(lambda images: call(tf.cast(images, tf.float32)), height=SIDE, width=SIDE)


def ops(graph_def):
    functions = [node.op for function in graph_def.library.function for node in function.node_def]
    return [*functions, *(node.op for node in graph_def.node)]


def test_nothing_is_left_to_xla(traced):
    graph_def = traced[0].graph.as_graph_def()
    assert MARK not in str(graph_def)
    assert ops(graph_def).count("DepthwiseConv2dNative") == 2


def test_with_variables_the_answers_stay(traced, network, expected):
    concrete, weight_bytes = traced
    assert weight_bytes == 4 * network.count_params()
    np.testing.assert_allclose(concrete(tf.constant(PIXELS)), expected, atol=1e-5)


def test_frozen_the_answers_stay(traced, expected):
    frozen = freeze(*traced, "always").as_function()
    np.testing.assert_allclose(frozen(tf.constant(PIXELS)), expected, atol=1e-5)


@pytest.mark.usefixtures("traced")
def test_the_source_itself_is_not_touched(saved_model, expected):
    function = saved_model.tracked.signatures["serving_default"]
    assert MARK in str(function.graph.as_graph_def())
    np.testing.assert_allclose(saved_model.predict(PIXELS.astype(np.float32)), expected, atol=1e-6)


def test_a_build_without_onednn_answers_the_same(saved_model, expected, tmp_path):
    """It would fuse a grouped convolution with its bias and then refuse to run it."""
    concrete, weight_bytes = trace(
        lambda images: saved_model.call(tf.cast(images, tf.float32)), height=SIDE, width=SIDE
    )
    frozen = freeze(concrete, weight_bytes, "always").as_function()
    spec = tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, "images")
    serve = tf.function(lambda images: {"y": frozen(images)}, input_signature=[spec])
    tf.saved_model.save(tf.Module(), str(tmp_path / "model"), signatures=serve)
    np.save(tmp_path / "pixels.npy", PIXELS)
    program = (
        "import sys, numpy, tensorflow\n"
        "loaded = tensorflow.saved_model.load(sys.argv[1] + '/model')\n"
        "pixels = numpy.load(sys.argv[1] + '/pixels.npy')\n"
        "answer = loaded.signatures['serving_default'](images=tensorflow.constant(pixels))\n"
        "numpy.save(sys.argv[1] + '/answer.npy', answer['y'].numpy())\n"
    )
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    command = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, timeout=120)
    np.testing.assert_allclose(np.load(tmp_path / "answer.npy"), expected, atol=1e-5)


def traced_as_it_is(score):
    spec = tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "images")
    return tf.function(score, input_signature=[spec], autograph=False).get_concrete_function()


def test_a_graph_without_groups_is_returned_as_it_is():
    kernel = tf.Variable(tf.ones([3, 3, 3, 4]))
    concrete = traced_as_it_is(lambda images: tf.nn.conv2d(images, kernel, 1, "SAME"))
    assert run_natively(concrete) is concrete


def test_what_was_compiled_as_a_whole_runs_natively_too():
    compiled = tf.function(lambda images: tf.reduce_max(images, [1, 2]), jit_compile=True)
    images = tf.constant(PIXELS, tf.float32)
    native = run_natively(traced_as_it_is(lambda x: 2 * compiled(x)))
    assert MARK not in str(native.graph.as_graph_def())
    np.testing.assert_array_equal(native(images), 2 * PIXELS.max((1, 2)).astype(np.float32))


def test_what_only_xla_can_run_on_a_cpu_stays_marked():
    kernel = tf.random.stateless_normal([3, 3, 1, 3], seed=[1, 2])

    @tf.function(jit_compile=True)
    def compiled(images):
        first = tf.transpose(images, [0, 3, 1, 2])
        return tf.nn.conv2d(first, kernel, 1, "SAME", data_format="NCHW")

    concrete = traced_as_it_is(compiled)
    assert run_natively(concrete) is concrete


def test_groups_outside_of_any_mark_are_rewritten_where_they_are():
    kernel = tf.Variable(tf.random.stateless_normal([3, 3, 1, 6], seed=[1, 2]))
    images = tf.constant(PIXELS, tf.float32)
    concrete = traced_as_it_is(lambda x: tf.nn.conv2d(x, kernel, 2, "SAME"))
    native = run_natively(concrete)
    assert "DepthwiseConv2dNative" in ops(native.graph.as_graph_def())
    each = zip(tf.split(images, 3, -1), tf.split(kernel, 3, -1), strict=True)
    by_group = tf.concat([tf.nn.conv2d(one, own, 2, "SAME") for one, own in each], -1)
    np.testing.assert_allclose(native(images), by_group, rtol=1e-4, atol=1e-3)
