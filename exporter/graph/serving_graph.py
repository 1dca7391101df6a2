"""The exported graph before it is written: what the checks ask, on weights that are held once.

It is asked with the source's own variables. Folding them into constants is the last step, takes
several copies of the weights, and is proven by the model server, which loads the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from exporter.graph.functions import Head

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


class ServingGraph:
    """A concrete function of uint8 [N,H,W,3] to float32 [N,C], and what is before and behind it."""

    def __init__(self, concrete: Any, head: Head) -> None:
        self.concrete = concrete
        self.head = head
        self._decode = tf.function(head.decode, autograph=False)

    def score(self, images: Pixels) -> Probabilities:
        """Probabilities [N,C] of pixels [N,H,W,3] in one batch: what `serving_default` answers."""
        return np.asarray(self.concrete(tf.constant(images)))

    def let_go(self) -> None:
        """Free the weights; only the head is left."""
        self.concrete = None

    def decode(self, files: Sequence[bytes]) -> Pixels:
        """Pixels [N,H,W,3] of image files: what `top_k_encoded` sees."""
        return np.asarray(self._decode(tf.constant(list(files))))
