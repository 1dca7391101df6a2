"""Models with one planted fault each, and healthy ones that look like it."""

from __future__ import annotations

# ruff: noqa: PLC0415 - TensorFlow takes seconds to import, and not every test wants it
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.exporter_models import CLASSES, SIDE, tiny_keras


def network_of(function: Callable[[Any], Any], *, name: str = "planted") -> Any:
    """A source that is a TensorFlow function of float32 [N,16,16,3], in the graph and outside."""
    import tensorflow as tf

    from contract.card import Source
    from exporter.sources.network import Network

    return Network(
        source=Source(kind="keras", name=name),
        height=SIDE,
        width=SIDE,
        class_count=None,
        dtype=tf.float32,
        call=function,
        predict=lambda x: np.asarray(function(tf.constant(x))),
    )


def network_from(model: Any) -> Any:
    """A Keras model in memory as a source."""
    from contract.card import Source
    from exporter.sources.keras_file import from_keras

    return from_keras(model, Source(kind="keras", name="planted"))


def keras_with(*, layer: int, weight: int, value: float, everywhere: bool = False) -> Any:
    """The tiny classifier with a value planted into one weight, or in all of the tensor."""
    model = tiny_keras()
    variable = model.layers[layer].weights[weight]
    planted = variable.numpy()
    if everywhere:
        planted[...] = value
    else:
        planted.flat[-1] = value
    variable.assign(planted)
    return model


def normalising_cnn(*, zero_gamma: bool = False) -> Any:
    """Convolution, BatchNorm with a residual branch, dropout: all that inference switches off."""
    import keras

    keras.utils.set_random_seed(4)
    layers = keras.layers
    images = keras.Input((SIDE, SIDE, 3))
    scaled = layers.Rescaling(1 / 64, offset=-2)(images)
    x = layers.Conv2D(8, 3, strides=2, padding="same")(scaled)
    branch = layers.Conv2D(8, 3, padding="same")(x)
    branch = layers.BatchNormalization(gamma_initializer="zeros" if zero_gamma else "ones")(branch)
    x = layers.ReLU()(layers.Add()([x, branch]))
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    wide = keras.initializers.RandomNormal(stddev=2.0)
    scores = layers.Dense(CLASSES, "softmax", kernel_initializer=wide)(x)
    return keras.Model(images, scores)


def save_function(
    path: Path, function: Callable[[Any], Any], *, tracked: Any = None, frozen: bool = False
) -> None:
    """Write a SavedModel of float32 [N,16,16,3] to whatever the function makes of it."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    spec = tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "images")
    module = tf.Module()
    module.tracked = tracked
    traced = tf.function(function, input_signature=[spec], autograph=False)
    if frozen:
        constants = convert_variables_to_constants_v2(traced.get_concrete_function())
        traced = tf.function(
            lambda images: constants(images)[0], input_signature=[spec], autograph=False
        )
    wrapped = tf.function(
        lambda images: {"scores": traced(images)}, input_signature=[spec], autograph=False
    )
    tf.saved_model.save(module, str(path), signatures=wrapped.get_concrete_function())


def scores_of(images: Any) -> Any:
    """Probabilities of any float32 [N,16,16,3] without a single variable."""
    import tensorflow as tf

    means = tf.reduce_mean(images, axis=[1, 2]) / 64 - 2
    kernel = tf.constant(np.linspace(-3, 3, 3 * CLASSES).reshape(3, CLASSES), tf.float32)
    return tf.nn.softmax(means @ kernel)


def save_v1_with_initialiser(path: Path, written: Path) -> None:
    """A SavedModel of TensorFlow 1 that writes a file when it is loaded, before any request."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        images = v1.placeholder(tf.float32, [None, SIDE, SIDE, 3], "images")
        scores = scores_of(images)
        write = tf.io.write_file(str(written), "owned")
        builder = v1.saved_model.Builder(str(path))
        signature = v1.saved_model.predict_signature_def({"images": images}, {"scores": scores})
        builder.add_meta_graph_and_variables(
            session,
            [v1.saved_model.tag_constants.SERVING],
            {"serving_default": signature},
            main_op=write,
        )
        builder.save()


def save_with_table(path: Path, vocabulary: Path) -> None:
    """A healthy SavedModel whose initialiser reads a vocabulary, as tables do."""
    import tensorflow as tf

    vocabulary.write_text("".join(f"{index}\n" for index in range(CLASSES)))
    table = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(vocabulary), tf.int64, tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER,
        ),
        0,
    )  # fmt: skip
    order = tf.range(CLASSES, dtype=tf.int64)
    save_function(
        path,
        lambda images: tf.gather(scores_of(images), table.lookup(order), axis=1),
        tracked=table,
    )
