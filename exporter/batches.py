"""How many images are asked about at once: as many as the memory is planned for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

FULL_SIDE: Final = 256
"""Of the square images that fill a batch; those of the usual 224 pixels and less always do."""


def images_at_once(most: int, height: int, width: int) -> int:
    """How many images of this size one batch may hold: activations grow with their pixels.

    Args:
        most: of images up to 256x256; a batch of larger ones has no more pixels than those.
        height: in pixels.
        width: in pixels.

    Returns:
        1 at least.
    """
    return max(1, min(most, most * FULL_SIDE**2 // (height * width)))


def ask_in_batches(
    answer: Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]],
    images: npt.NDArray[Any],
    size: int,
) -> npt.NDArray[np.float32]:
    """The rows that it answers, in order.

    Args:
        answer: [M,H,W,C] to [M,K], M up to size.
        images: [N,H,W,C], N >= 1.
        size: of a batch.
    """
    return np.concatenate([answer(images[i : i + size]) for i in range(0, len(images), size)])
