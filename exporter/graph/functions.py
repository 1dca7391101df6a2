"""The five signatures of `contract.signatures`, built around one scoring function.

All of them call the same function, so a SavedModel stores the weights once however many signatures
it has. Nothing here needs tables, assets or initialisers: TensorFlow Serving runs a SavedModel in a
plain session, and such a graph works there as it does in TensorFlow 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from contract import signatures as names
from contract.image_spec import ImageSpec
from exporter.graph.resize import decode_and_fit

Outputs = dict[str, tf.Tensor]


class Signatures:
    """uint8 pixels to probabilities, top-k and labels, as traced functions.

    `score` takes uint8 [N,H,W,3] and gives float32 [N,C].
    """

    def __init__(
        self,
        score: Callable[[tf.Tensor], tf.Tensor],
        *,
        image: ImageSpec,
        labels: Sequence[str],
        k: int,
    ) -> None:
        self._score = score
        self._image = image
        self._labels = list(labels)
        self._k = k
        images = tf.TensorSpec([None, image.height, image.width, 3], tf.uint8, names.IMAGES)
        pixels = tf.TensorSpec([None], tf.string, names.PIXELS)
        image_bytes = tf.TensorSpec([None], tf.string, names.IMAGE_BYTES)
        self.functions: dict[str, Any] = {
            names.SERVING_DEFAULT: _traced(self._serving_default, images),
            names.TOP_K: _traced(self._top_k, images),
            names.TOP_K_RAW: _traced(self._top_k_raw, pixels),
            names.TOP_K_ENCODED: _traced(self._top_k_encoded, image_bytes),
        }

    def with_model_card(self, card_json: str) -> dict[str, Any]:
        """All five: the card is known last, as it reports what the others answered."""

        def model_card(query: tf.Tensor) -> Outputs:
            return {names.CARD: tf.fill(tf.shape(query), tf.constant(card_json))}

        spec = tf.TensorSpec([None], tf.int32, names.QUERY)
        return {**self.functions, names.MODEL_CARD: _traced(model_card, spec)}

    def decode(self, image_bytes: tf.Tensor) -> tf.Tensor:
        """Files to pixels as `top_k_encoded` sees them: string [N] to uint8 [N,H,W,3]."""
        height, width = self._image.height, self._image.width
        return tf.map_fn(
            lambda data: decode_and_fit(data, self._image),
            image_bytes,
            fn_output_signature=tf.TensorSpec([height, width, 3], tf.uint8),
        )

    def _serving_default(self, images: tf.Tensor) -> Outputs:
        return {names.PROBABILITIES: self._score(images)}

    def _top_k(self, images: tf.Tensor) -> Outputs:
        # top_k puts the lower index first among equals, as the contract promises.
        probabilities, indices = tf.math.top_k(self._score(images), self._k)
        return {
            names.PROBABILITIES: probabilities,
            names.CLASS_INDICES: indices,
            names.LABELS: tf.gather(tf.constant(self._labels), indices),
        }

    def _top_k_raw(self, pixels: tf.Tensor) -> Outputs:
        # Reshaping to N images makes a string of the wrong length an error, never N+1 images.
        shape = [tf.shape(pixels)[0], self._image.height, self._image.width, 3]
        return self._top_k(tf.reshape(tf.io.decode_raw(pixels, tf.uint8), shape))

    def _top_k_encoded(self, image_bytes: tf.Tensor) -> Outputs:
        return self._top_k(self.decode(image_bytes))


def _traced(function: Callable[[tf.Tensor], Outputs], spec: tf.TensorSpec) -> Any:
    # autograph would parse the source of every closure and find nothing to rewrite
    return tf.function(function, input_signature=[spec], autograph=False).get_concrete_function()
