"""Weights become constants where they can, stay variables where they must."""

import numpy as np
import pytest
import tensorflow as tf

from contract.card import Source
from exporter.errors import RefusedError
from exporter.graph.freeze import freeze, trace
from exporter.graph.scorer import make_scorer
from exporter.sources.keras_file import from_keras
from tests.support.exporter_models import SIDE, tiny_keras

PIXELS = np.random.default_rng(9).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
SOURCE = Source(kind="keras", name="m.keras")


@pytest.fixture
def traced():
    scorer = make_scorer(from_keras(tiny_keras(), SOURCE), PIXELS)
    return scorer, *trace(scorer.score, height=SIDE, width=SIDE)


def test_the_weights_are_summed_up(traced):
    _, _, weight_bytes = traced
    # 3x3x3x8 + 8 of the convolution, 8x12 + 12 behind it; 4 bytes each
    assert weight_bytes == 4 * (3 * 3 * 3 * 8 + 8 + 8 * 12 + 12)


def test_a_frozen_function_has_no_variables_and_the_same_answers(traced):
    scorer, concrete, weight_bytes = traced
    frozen = freeze(concrete, weight_bytes, "auto")
    graph_def = frozen.take()
    assert {node.op for node in graph_def.node}.isdisjoint({"VarHandleOp", "ReadVariableOp"})
    call = tf.compat.v1.wrap_function(
        lambda images: tf.graph_util.import_graph_def(
            graph_def, {frozen.input_name: images}, [frozen.output_name]
        ),
        [tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8)],
    )
    np.testing.assert_allclose(call(tf.constant(PIXELS))[0], scorer.reference(PIXELS), atol=1e-5)


@pytest.mark.parametrize(("choice", "weight_bytes"), [("auto", 2_500_000_000), ("never", 100)])
def test_variables_are_kept_when_too_large_or_asked_for(traced, choice, weight_bytes):
    assert freeze(traced[1], weight_bytes, choice) is None


def test_always_refuses_what_does_not_fit(traced):
    with pytest.raises(RefusedError, match=r"2\.5 GB of weights"):
        freeze(traced[1], 2_500_000_000, "always")


def test_a_graph_with_a_table_is_left_as_it_is():
    keys = tf.lookup.KeyValueTensorInitializer([0, SIDE], [5, 6])
    table = tf.lookup.StaticHashTable(keys, 0)

    def classify(images):
        found = tf.cast(table.lookup(tf.shape(images)[1:2]), tf.float32)
        return tf.repeat(found[tf.newaxis], tf.shape(images)[0], axis=0)

    concrete, weight_bytes = trace(classify, height=SIDE, width=SIDE)
    assert freeze(concrete, weight_bytes, "auto") is None
    with pytest.raises(RefusedError, match=r"lookup tables .* use --freeze auto"):
        freeze(concrete, weight_bytes, "always")
