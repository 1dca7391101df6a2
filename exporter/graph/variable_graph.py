"""A network that keeps its variables, in the functions of the five signatures.

For weights that do not fit into one protobuf, and for graphs with lookup tables: the weights go
into `variables/`, so that tracing five functions copies none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf

from contract import signatures as names
from exporter.errors import FailedError, first_line
from exporter.graph.functions import Head, Outputs, card_outputs
from exporter.graph.serving_graph import Pixels, Probabilities


class VariableGraph:
    """Traced functions around a concrete function of uint8 [N,H,W,3] to float32 [N,C]."""

    is_frozen: Final = False

    def __init__(self, concrete: Any, head: Head, tracked: Any) -> None:
        self._concrete = concrete
        self._tracked = tracked
        self._head = head
        shape = [None, head.image.height, head.image.width, 3]
        images = tf.TensorSpec(shape, tf.uint8, names.IMAGES)
        pixels = tf.TensorSpec([None], tf.string, names.PIXELS)
        files = tf.TensorSpec([None], tf.string, names.IMAGE_BYTES)

        def top_k(batch: tf.Tensor) -> Outputs:
            return head.top_k(concrete(batch))

        self._functions = {
            names.SERVING_DEFAULT: _traced(
                lambda batch: {names.PROBABILITIES: concrete(batch)}, images
            ),
            names.TOP_K: _traced(top_k, images),
            names.TOP_K_RAW: _traced(lambda strings: top_k(head.unpack(strings)), pixels),
            names.TOP_K_ENCODED: _traced(lambda encoded: top_k(head.decode(encoded)), files),
        }
        self._decode = tf.function(head.decode, autograph=False)

    def score(self, images: Pixels) -> Probabilities:
        """As `ServingGraph.score`."""
        answer = self._functions[names.SERVING_DEFAULT](tf.constant(images))
        return np.asarray(answer[names.PROBABILITIES])

    def decode(self, files: Sequence[bytes]) -> Pixels:
        """As `ServingGraph.decode`."""
        return np.asarray(self._decode(tf.constant(list(files))))

    def save(self, version_path: Path, card_json: str) -> None:
        """As `ServingGraph.save`."""
        query = tf.TensorSpec([None], tf.int32, names.QUERY)
        card = _traced(lambda rows: card_outputs(rows, card_json), query)
        module = tf.Module()
        # What the functions have captured: Keras' model tracks variables of its own kind, which
        # are not these and would be left without values.
        module.weights = list(self._concrete.graph.variables)
        module.tracked = (self._tracked, self._concrete)
        # Nobody trains what we serve, and gradients (swish has its own) would reach for tensors
        # that freezing has removed.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        functions = {**self._functions, names.MODEL_CARD: card}
        try:
            tf.saved_model.save(module, str(version_path), signatures=functions, options=options)
        except Exception as error:
            raise FailedError(f"cannot write the SavedModel: {first_line(error)}") from error


def _traced(function: Callable[[tf.Tensor], Outputs], spec: tf.TensorSpec) -> Any:
    # autograph would parse the source of every closure and find nothing to rewrite
    return tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
