"""Small models for the exporter's tests: Keras classifiers and SavedModels with a twist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SIDE = 16
CLASSES = 12


def tiny_keras(
    *, activation: str | None = "softmax", classes: int = CLASSES, side: int | None = SIDE
) -> Any:
    """An untrained network of pixels 0..255 whose answers differ clearly from image to image."""
    import keras  # noqa: PLC0415 - seconds, and not every test wants it

    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((side, side, 3)),
            keras.layers.Rescaling(1 / 64, offset=-2),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(
                classes,
                activation=activation,
                kernel_initializer=keras.initializers.RandomNormal(stddev=2.0),
            ),
        ]
    )


def save_saved_model(
    path: Path, *, dtype: str = "float32", input_name: str = "x", output_name: str = "scores"
) -> Any:
    """Write somebody else's SavedModel: own names, pixels of `dtype`; the Keras model inside."""
    import tensorflow as tf  # noqa: PLC0415

    model = tiny_keras()
    spec = tf.TensorSpec([None, SIDE, SIDE, 3], dtype, input_name)

    def serve(**tensors: Any) -> dict[str, Any]:
        return {output_name: model(tf.cast(tensors[input_name], tf.float32), training=False)}

    module = tf.Module()
    module.model = model
    function = tf.function(lambda x: serve(**{input_name: x}), input_signature=[spec])
    tf.saved_model.save(module, str(path), signatures=function.get_concrete_function())
    return model


def save_v1_saved_model(path: Path) -> None:
    """Write a SavedModel as TensorFlow 1 did: one graph, variables restored by an op in it."""
    import tensorflow as tf  # noqa: PLC0415

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        images = v1.placeholder(tf.float32, [None, SIDE, SIDE, 3], "images")
        shape = [SIDE * SIDE * 3, CLASSES]
        initializer = v1.initializers.random_normal(stddev=1e-3, seed=5)
        weights = v1.get_variable("weights", shape, initializer=initializer)
        scores = tf.nn.softmax(tf.reshape(images, [-1, shape[0]]) @ weights)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        signature = v1.saved_model.predict_signature_def({"images": images}, {"scores": scores})
        builder.add_meta_graph_and_variables(
            session, [v1.saved_model.tag_constants.SERVING], {"serving_default": signature}
        )
        builder.save()


def require_same_answers(network: Any, model: Any) -> None:
    """Both a loaded source's graph side and its own side answer as the Keras model does."""
    shape = (2, network.height, network.width, 3)
    images = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(network.predict(images), expected, atol=1e-6)
    np.testing.assert_allclose(network.call(images), expected, atol=1e-5)
