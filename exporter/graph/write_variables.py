"""Writes a network that keeps its variables, with the functions of the five signatures.

For weights that do not fit into one protobuf, and for graphs with lookup tables: the weights go
into `variables/`, so that tracing five functions copies none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from contract import signatures as names
from exporter.errors import FailedError, first_line
from exporter.graph.functions import Head, Outputs, card_outputs


def write_variables(
    version_path: Path, concrete: Any, head: Head, card_json: str, tracked: Any
) -> None:
    """Write a SavedModel by TensorFlow's own means.

    Args:
        version_path: its folder.
        concrete: uint8 [N,H,W,3] to float32 [N,C].
        head: what is before and behind it.
        card_json: what `model_card` answers.
        tracked: what must be kept besides variables: lookup tables.

    Raises:
        FailedError: TensorFlow cannot write it.
    """
    module = tf.Module()
    # What the functions have captured: Keras' model tracks variables of its own kind, which are
    # not these and would be left without values.
    module.weights = list(concrete.graph.variables)
    module.tracked = (tracked, concrete)
    # Nobody trains what we serve, and gradients (swish has its own) would reach for tensors that
    # are not there.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    functions = _functions(concrete, head, card_json)
    try:
        tf.saved_model.save(module, str(version_path), signatures=functions, options=options)
    except Exception as error:
        raise FailedError(f"cannot write the SavedModel: {first_line(error)}") from error


def _functions(concrete: Any, head: Head, card_json: str) -> dict[str, Any]:
    shape = [None, head.image.height, head.image.width, 3]
    images = tf.TensorSpec(shape, tf.uint8, names.IMAGES)
    pixels = tf.TensorSpec([None], tf.string, names.PIXELS)
    files = tf.TensorSpec([None], tf.string, names.IMAGE_BYTES)
    query = tf.TensorSpec([None], tf.int32, names.QUERY)

    def score(batch: tf.Tensor) -> tf.Tensor:
        return concrete(head.require_images(batch))

    def top_k(batch: tf.Tensor) -> Outputs:
        return head.top_k(score(batch))

    return {
        names.SERVING_DEFAULT: _traced(lambda batch: {names.PROBABILITIES: score(batch)}, images),
        names.TOP_K: _traced(top_k, images),
        names.TOP_K_RAW: _traced(lambda strings: top_k(head.unpack(strings)), pixels),
        names.TOP_K_ENCODED: _traced(lambda encoded: top_k(head.decode(encoded)), files),
        names.MODEL_CARD: _traced(lambda rows: card_outputs(rows, card_json), query),
    }


def _traced(function: Callable[[tf.Tensor], Outputs], spec: tf.TensorSpec) -> Any:
    # autograph would parse the source of every closure and find nothing to rewrite
    return tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
