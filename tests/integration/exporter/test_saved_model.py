"""SavedModels of anybody are loaded; unfit ones are refused in one line."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from exporter.errors import RefusedError, UsageError
from exporter.sources.saved_model import load_saved_model
from exporter.sources.tensor_names import TensorNames
from tests.support.exporter_models import CLASSES, SIDE, save_saved_model, save_v1_saved_model

PIXELS = np.random.default_rng(8).integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_somebody_elses_names_and_types_are_found(tmp_path, dtype):
    model = save_saved_model(tmp_path / "m", dtype=dtype)
    network = load_saved_model(tmp_path / "m", TensorNames())
    assert network.dtype == tf.as_dtype(dtype)
    assert (network.height, network.class_count) == (SIDE, CLASSES)
    expected = model.predict(PIXELS, verbose=0)
    np.testing.assert_allclose(network.predict(PIXELS), expected, atol=1e-6)
    np.testing.assert_allclose(network.call(tf.cast(PIXELS, dtype)), expected, atol=1e-5)


def test_tensorflow_1_models_load(tmp_path):
    save_v1_saved_model(tmp_path / "m")
    network = load_saved_model(tmp_path / "m", TensorNames())
    np.testing.assert_allclose(network.predict(PIXELS).sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("save", [save_saved_model, save_v1_saved_model])
@pytest.mark.parametrize("lost", ["variables", "variables/variables.data-00000-of-00001"])
def test_variables_that_did_not_come_along_are_refused(tmp_path, save, lost):
    save(tmp_path / "m")
    target = tmp_path / "m" / lost
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    with pytest.raises(RefusedError, match="variables did not come along") as caught:
        load_saved_model(tmp_path / "m", TensorNames())
    assert "\n" not in str(caught.value)


def test_names_that_do_not_exist_are_answered_with_those_that_do(tmp_path):
    save_saved_model(tmp_path / "m")
    for names, complaint in (
        (TensorNames(signature="top"), "--signature top: there are only: .*serving_default"),
        (TensorNames(input="y"), "--input y: there are only: x"),
        (TensorNames(output="y"), "--output y: there are only: scores"),
    ):
        with pytest.raises(UsageError, match=complaint):
            load_saved_model(tmp_path / "m", names)


def test_what_is_not_obvious_is_asked_for(tmp_path):
    module = tf.Module()
    spec = tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "x")

    @tf.function(input_signature=[spec])
    def both(x):
        flat = tf.reshape(x, [-1, SIDE * SIDE * 3])
        return {"scores": tf.nn.softmax(flat[:, :5]), "features": flat}

    tf.saved_model.save(module, str(tmp_path / "m"), signatures=both.get_concrete_function())
    with pytest.raises(UsageError, match=r"which output .* --output .*features, scores"):
        load_saved_model(tmp_path / "m", TensorNames())
    assert load_saved_model(tmp_path / "m", TensorNames(output="scores")).class_count == 5


@pytest.mark.parametrize(
    ("shape", "dtype", "complaint"),
    [
        ([None, 10], tf.float32, "no batch of RGB or grey images"),
        ([None, 8, 8, 3], tf.int64, "int64 is not a type for pixels"),
        ([4, 8, 8, 3], tf.float32, "takes batches of 4 only"),
        (None, tf.float32, "its shape is unknown"),
    ],
)
def test_inputs_that_are_no_images_are_refused(tmp_path, shape, dtype, complaint):
    @tf.function(input_signature=[tf.TensorSpec(shape, dtype, "x")])
    def serve(x):
        return {"scores": tf.zeros([tf.shape(x)[0], 3])}

    tf.saved_model.save(tf.Module(), str(tmp_path / "m"), signatures=serve.get_concrete_function())
    with pytest.raises(UsageError, match=complaint):
        load_saved_model(tmp_path / "m", TensorNames())


def test_a_folder_without_a_saved_model_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"there is no saved_model\.pb"):
        load_saved_model(tmp_path, TensorNames())


def save_signature(path, function, *specs):
    """A module whose one signature is this function."""
    traced = tf.function(function, input_signature=specs)
    tf.saved_model.save(tf.Module(), str(path), signatures=traced)


def test_inputs_with_defaults_may_be_left_out(tmp_path):
    def serve(x, gain=tf.constant(3.0)):  # noqa: B008 - a constant is a value
        return {"scores": tf.nn.softmax(gain * tf.reduce_mean(x, [1, 2]))}

    images = tf.TensorSpec([None, 4, 4, 3], tf.float32, "x")
    save_signature(tmp_path / "m", serve, images, tf.TensorSpec([], tf.float32, "gain"))
    network = load_saved_model(tmp_path / "m", TensorNames())
    pixels = np.random.default_rng(1).uniform(0, 1, (2, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(network.predict(pixels), serve(pixels)["scores"], atol=1e-6)


def test_inputs_without_defaults_are_named(tmp_path):
    images = tf.TensorSpec([None, 4, 4, 3], tf.float32, "x")
    mask = tf.TensorSpec([None, 3], tf.float32, "mask")
    save_signature(
        tmp_path / "m", lambda x, mask: {"s": mask * tf.reduce_mean(x, [1, 2])}, images, mask
    )
    with pytest.raises(UsageError, match="which input classifies images"):
        load_saved_model(tmp_path / "m", TensorNames())
    with pytest.raises(UsageError, match="besides x it needs mask, and a picture is all"):
        load_saved_model(tmp_path / "m", TensorNames(input="x"))


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32])
def test_the_precision_is_found_in_the_graph_under_calls_and_casts(tmp_path, dtype):
    kernel = tf.constant(np.eye(48, 3), dtype)

    @tf.function
    def inner(x):
        return tf.cast(tf.cast(tf.reshape(x, [-1, 48]), dtype) @ kernel, tf.float32)

    images = tf.TensorSpec([None, 4, 4, 3], tf.float32, "x")
    save_signature(tmp_path / "m", lambda x: {"s": tf.nn.softmax(inner(x))}, images)
    assert load_saved_model(tmp_path / "m", TensorNames()).precision == dtype.name


def test_weights_that_are_only_kept_in_half_precision_do_not_count(tmp_path):
    kernel = tf.constant(np.eye(48, 3), tf.float16)
    images = tf.TensorSpec([None, 4, 4, 3], tf.float32, "x")
    save_signature(
        tmp_path / "m",
        lambda x: {"s": tf.reshape(x, [-1, 48]) @ tf.cast(kernel, tf.float32)},
        images,
    )
    assert load_saved_model(tmp_path / "m", TensorNames()).precision == "float32"
