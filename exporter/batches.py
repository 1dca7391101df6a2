"""How many images are asked about at once: as many as the memory is planned for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

FULL_SIDE: Final = 240
"""Of the square images that fill a batch; those of the usual 224 pixels and less always do."""


def images_at_once(most: int, height: int, width: int) -> int:
    """How many images of this size one batch may hold, for the memory that activations take.

    These grow with the pixels, and with the width of the network, which is larger where images are:
    EfficientNetB7 is twice as wide as B0 and sees 600 pixels where that sees 224. With as many
    pixels to a batch it took 3.9 GB to be exported; 3.6 are its limit (docs/applications.md).

    Args:
        most: of images up to 240x240, and of larger ones by the third power of the side fewer.
        height: in pixels.
        width: in pixels.

    Returns:
        1 at least.
    """
    return max(1, min(most, int(most * (FULL_SIDE**2 / (height * width)) ** 1.5)))


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
