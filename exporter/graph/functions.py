"""What the signatures of `contract.signatures` compute around one scoring function.

Written once for both writers: `write_frozen` (weights as constants, one subgraph that every
signature shares) and `write_variables` (one function per signature). Nothing here
needs tables, assets or initialisers: TensorFlow Serving runs a SavedModel in a plain session, and
such a graph works there as it does in TensorFlow 2.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from contract import signatures as names
from contract.image_spec import ImageSpec
from exporter.graph.resize import decode_and_fit

Outputs = dict[str, tf.Tensor]


class Head:
    """Everything before and behind the network: files and strings to pixels, scores to labels."""

    def __init__(self, image: ImageSpec, labels: Sequence[str], k: int) -> None:
        self._labels = list(labels)
        self.k = k
        self.image = image

    def require_images(self, images: tf.Tensor) -> tf.Tensor:
        """The same images; INVALID_ARGUMENT at run time for anything but [N,H,W,3]."""
        return require_shape(images, [None, self.image.height, self.image.width, 3])

    def decode(self, image_bytes: tf.Tensor) -> tf.Tensor:
        """Files to pixels as `top_k_encoded` sees them: string [N] to uint8 [N,H,W,3]."""
        height, width = self.image.height, self.image.width
        return tf.map_fn(
            lambda data: decode_and_fit(data, self.image),
            require_shape(image_bytes, [None]),
            fn_output_signature=tf.TensorSpec([height, width, 3], tf.uint8),
        )

    def unpack(self, pixels: tf.Tensor) -> tf.Tensor:
        """`top_k_raw`'s strings [N] of H*W*3 bytes to uint8 [N,H,W,3]."""
        pixels = require_shape(pixels, [None])
        # Reshaping to N images makes a string of the wrong length an error, never N+1 images.
        shape = [tf.shape(pixels)[0], self.image.height, self.image.width, 3]
        return tf.reshape(tf.io.decode_raw(pixels, tf.uint8), shape)

    def top_k(self, probabilities: tf.Tensor) -> Outputs:
        """The best K of float32 [N,C], with their labels."""
        # top_k puts the lower index first among equals, as the contract promises.
        best, indices = tf.math.top_k(probabilities, self.k)
        return {
            names.PROBABILITIES: best,
            names.CLASS_INDICES: indices,
            names.LABELS: tf.gather(tf.constant(self._labels), indices),
        }


def card_outputs(query: tf.Tensor, card_json: str) -> Outputs:
    """The card once per row of the query, so that it batches like everything else."""
    rows = require_shape(query, [None])
    return {names.CARD: tf.fill(tf.shape(rows), tf.constant(card_json))}


def require_shape(tensor: tf.Tensor, shape: Sequence[int | None]) -> tf.Tensor:
    """The same tensor; INVALID_ARGUMENT at run time if it has another shape.

    A model server feeds whatever it is sent: the shape in the signature is a description that
    nobody enforces, and kernels of oneDNN end the process on an input of fewer than 4 dimensions.
    """
    return tf.ensure_shape(tensor, shape)
