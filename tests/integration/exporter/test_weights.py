"""What weights hold: which zeros are meant, which numbers are none, and what is their name."""

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from contract.image_spec import ImageSpec
from exporter.errors import RefusedError
from exporter.graph.ending import Ending, read_ending, trace_network
from exporter.proof.weights import require_sound
from exporter.sources.saved_model import TensorNames, load_saved_model
from tests.support import faulty_models as faulty
from tests.support.exporter_models import CLASSES, SIDE, save_v1_saved_model, tiny_keras

IMAGE = ImageSpec(height=SIDE, width=SIDE)


def traced(source):
    is_network = hasattr(source, "predict") and hasattr(source, "source")
    return trace_network(source if is_network else faulty.network_from(source), IMAGE)


def test_healthy_weights_are_counted():
    line = require_sound(traced(tiny_keras()), "m")
    assert line.step == "weights"
    # 3x3x3x8 + 8 and 8x12 + 12, and the rescaling's factor
    assert line.found == "333 numbers in 5 tensors, all finite"


def test_zeros_that_are_meant_pass_and_empty_kernels_elsewhere_are_mentioned():
    model = faulty.normalising_cnn(zero_gamma=True)
    assert "all finite" in require_sound(traced(model), "m").found
    branch = model.layers[3]
    branch.kernel.assign(tf.zeros_like(branch.kernel))
    assert require_sound(traced(model), "m").found.endswith(f"all zero: {branch.name}/kernel")


def test_a_bias_of_zeros_in_the_last_layer_is_no_fault():
    require_sound(traced(faulty.keras_with(layer=3, weight=1, value=0, everywhere=True)), "m")


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_every_precision_is_looked_at(dtype, bad):
    numbers = np.ones([3, CLASSES], dtype)
    numbers[1, 5] = bad
    variable = tf.Variable(numbers, name="planted")

    def answer(x):
        means = tf.cast(tf.reduce_mean(x, axis=[1, 2]), variable.dtype)
        return tf.nn.softmax(tf.cast(means @ variable, tf.float32))

    word = "NaN" if np.isnan(bad) else "infinity"
    with pytest.raises(RefusedError, match=f"{word} in planted;"):
        require_sound(traced(faulty.network_of(answer)), "m")


def test_weights_inside_nested_calls_and_frozen_graphs_are_found(tmp_path):
    model = faulty.keras_with(layer=1, weight=0, value=np.nan)
    for name, frozen in (("variables", False), ("frozen", True)):
        faulty.save_function(tmp_path / name, model, tracked=model, frozen=frozen)
        network = load_saved_model(tmp_path / name, TensorNames())
        with pytest.raises(RefusedError, match=r"NaN in .*conv2d") as caught:
            require_sound(traced(network), "m")
        assert caught.value.step == "weights"


def test_a_last_layer_of_zeros_is_found_in_a_frozen_graph(tmp_path):
    model = faulty.keras_with(layer=3, weight=0, value=0, everywhere=True)
    faulty.save_function(tmp_path / "m", model, frozen=True)
    with pytest.raises(RefusedError, match="is all zero, and the last layer"):
        require_sound(traced(load_saved_model(tmp_path / "m", TensorNames())), "m")


def test_endings_are_read_through_calls_casts_and_reshapes(tmp_path):
    def reshaped(x):
        logits = tf.cast(tf.math.log(faulty.scores_of(x)), tf.float64)
        inner = tf.function(lambda y: tf.nn.softmax(y[:, tf.newaxis]), autograph=False)
        return tf.cast(tf.squeeze(inner(logits), 1), tf.float32)

    assert read_ending(traced(faulty.network_of(reshaped))) == Ending(("softmax",), is_linear=False)
    assert read_ending(traced(tiny_keras(activation=None))) == Ending((), is_linear=True)
    relu = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *tiny_keras(activation="relu").layers])
    assert read_ending(traced(relu)) == Ending((), is_linear=False)
    save_v1_saved_model(tmp_path / "v1")
    v1 = load_saved_model(tmp_path / "v1", TensorNames())
    assert read_ending(traced(v1)).activations == ("softmax",)
