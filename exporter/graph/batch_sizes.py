"""Which batch sizes a model cannot take: a server sends it any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Answer = Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]


def failing_sizes(answer: Answer, images: npt.NDArray[Any], sizes: Iterable[int]) -> list[int]:
    """Those that end in an error, or in another number of rows than images.

    Args:
        answer: [N,H,W,3] to [N,C].
        images: as many as the largest size.
        sizes: to be tried.
    """
    return [size for size in sizes if not _takes(answer, images[:size])]


def _takes(answer: Answer, images: npt.NDArray[Any]) -> bool:
    try:
        return len(answer(images)) == len(images)
    except Exception:  # noqa: BLE001 - TensorFlow and Keras have dozens, and each means no
        return False
