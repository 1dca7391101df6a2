"""What the flow sees of a built graph, whichever way it holds its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


class ServingGraph(Protocol):
    """The exported graph before it is written: it can be asked, and then saved once."""

    @property
    def is_frozen(self) -> bool:
        """Whether its weights are constants."""
        ...

    def score(self, images: Pixels) -> Probabilities:
        """Probabilities [N,C] of pixels [N,H,W,3] in one batch: what `serving_default` answers."""
        ...

    def decode(self, files: Sequence[bytes]) -> Pixels:
        """Pixels [N,H,W,3] of image files: what `top_k_encoded` sees."""
        ...

    def save(self, version_path: Path, card_json: str) -> None:
        """Write the SavedModel with all five signatures; the graph cannot be asked afterwards.

        Raises:
            FailedError: TensorFlow cannot write it.
        """
        ...
