"""Builds the graphs of fixture_models: run by it as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

INTEGERS = {
    "u8": tf.uint8,
    "i8": tf.int8,
    "i16": tf.int16,
    "u16": tf.uint16,
    "i32": tf.int32,
    "u32": tf.uint32,
    "i64": tf.int64,
    "u64": tf.uint64,
}

WEIGHTS = np.array(
    [[0.5, 0.25, 0.125, 1.0], [0.1, 0.2, 0.3, 0.4], [1 / 3, 2 / 3, -1.0, 0.0]], np.float32
)


def spec(shape, dtype, name):
    return tf.TensorSpec(shape, dtype, name=name)


def on_x(shape=(None,)):
    return tf.function(input_signature=[spec(list(shape), tf.float32, "x")])


class Images(tf.Module):
    def __init__(self, version):
        super().__init__()
        self.weights = tf.Variable(WEIGHTS)
        self.offset = tf.constant(float(version))

    def scores(self, images):
        means = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2])
        return tf.linalg.matmul(means, self.weights) / 255.0 + self.offset

    @tf.function(input_signature=[spec([None, 8, 8, 3], tf.uint8, "images")])
    def predict(self, images):
        return {"scores": self.scores(images)}

    @tf.function(input_signature=[spec([None], tf.string, "image_bytes")])
    def raw(self, image_bytes):
        pixels = tf.io.decode_raw(image_bytes, tf.uint8, fixed_length=192)
        return {
            "scores": self.scores(tf.reshape(pixels, [-1, 8, 8, 3])),
            "length": tf.strings.length(image_bytes),
            "echo_bytes": image_bytes,
        }


class Types(tf.Module):
    @on_x((None, 3))
    def double(self, x):
        return {"y": x * 2}

    @tf.function(input_signature=[spec([None], tf.float32, "a"), spec([None], tf.int64, "b")])
    def multi(self, a, b):
        return {"sum": a + tf.cast(b, tf.float32), "prod": tf.cast(a, tf.int64) * b}

    @on_x()
    def floats(self, x):
        values = [
            *(np.nan, np.inf, -np.inf, 1e-10, 1e20, 0.1, 1 / 3, 16777216.0, 1.0, 100000),
            *(123456.789, -0.0, 1e-45, 3.4028235e38, 0.30000001192, 1e7, 123456789.0),
        ]
        zero = tf.reduce_sum(x) * 0
        return {"f32": tf.constant(values, tf.float32) + zero}

    @on_x()
    def doubles(self, x):
        values = [0.1, 1 / 3, 1e300, 1e-300, 1.0, 123456789.123456789, 1e21, 1e15]
        zero = tf.cast(tf.reduce_sum(x) * 0, tf.float64)
        return {"f64": tf.constant(values, tf.float64) + zero}

    @on_x()
    def halfs(self, x):
        return {"bf16": tf.cast(x, tf.bfloat16), "f16": tf.cast(x, tf.float16)}

    @on_x()
    def ints(self, x):
        return {**{name: tf.cast(x, kind) for name, kind in INTEGERS.items()}, "bool": x > 0}

    @tf.function(input_signature=[spec([None], tf.string, "s")])
    def strings(self, s):
        return {"text": s, "text_bytes": s}

    @on_x()
    def scalar(self, x):
        return {"total": tf.reduce_sum(x)}

    @on_x()
    def mixed(self, x):
        return {"a": x, "b": tf.concat([x, x], 0)}

    @on_x(())
    def scalar_in(self, x):
        return {"y": x + 1}

    @on_x()
    def fail(self, x):
        is_small = tf.debugging.Assert(tf.reduce_all(x < 100), ["x too big", x])
        with tf.control_dependencies([is_small]):
            return {"y": tf.identity(x)}

    @on_x((None, 2, 2))
    def mat(self, x):
        return {"y": x}

    @tf.function(
        input_signature=[
            spec([None], tf.bool, "flag"),
            spec([None], tf.int32, "i32"),
            spec([None], tf.uint8, "u8"),
            spec([None], tf.float64, "f64"),
        ]
    )
    def typed(self, flag, i32, u8, f64):
        return {"flag": flag, "i32": i32, "u8": u8, "f64": f64}

    @on_x()
    def slow(self, x):
        start = tf.random.stateless_uniform([600, 600], seed=[1, 2]) + tf.reduce_sum(x) * 0

        def step(i, matrix):
            return i + 1, tf.linalg.matmul(matrix, matrix) / tf.norm(matrix)

        matrix = tf.while_loop(lambda i, _: i < 200, step, [0, start])[1]
        return {"y": x + 0 * tf.reduce_sum(matrix)}


def save_images(base, version):
    model = Images(version)
    signatures = {"serving_default": model.predict, "raw": model.raw}
    tf.saved_model.save(model, str(base / "m" / str(version)), signatures=signatures)


def save_types(base):
    model = Types()
    names = "multi floats doubles halfs ints strings scalar mixed scalar_in fail mat typed slow"
    signatures = {name: getattr(model, name) for name in names.split()}
    tf.saved_model.save(
        model, str(base / "t" / "1"), signatures={"serving_default": model.double, **signatures}
    )


def save_examples(base):
    v1 = tf.compat.v1
    utils = v1.saved_model.signature_def_utils
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], "ex")
        layout = {
            "x": tf.io.FixedLenFeature([2], tf.float32),
            "n": tf.io.FixedLenFeature([1], tf.string, default_value=["none"]),
        }
        x = tf.io.parse_example(examples, layout)["x"]
        scores = tf.nn.softmax(x)
        classes = tf.tile(tf.constant([["neg", "pos"]]), [tf.shape(scores)[0], 1])
        total = tf.reduce_sum(x, 1, keepdims=True)
        builder = v1.saved_model.Builder(str(base / "c" / "1"))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            signature_def_map={
                "serving_default": utils.classification_signature_def(examples, classes, scores),
                "regress": utils.regression_signature_def(examples, total),
                "predict": utils.predict_signature_def(
                    {"ex": examples}, {"scores": scores, "total": total}
                ),
            },
        )
        builder.save()


def save_all(base):
    save_images(base, 1)
    save_images(base, 2)
    save_types(base)
    save_examples(base)


if __name__ == "__main__":
    save_all(Path(sys.argv[1]).resolve())
