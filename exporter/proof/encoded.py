"""Files that the graph decodes itself (`top_k_encoded`), held against the source's answers."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from exporter.errors import RefusedError

Probabilities = npt.NDArray[np.float32]

STEP: Final = "encoded parity"
_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = 1
_MODES: Final = frozenset({"RGB", "L"})


def decoded_alike(files: Sequence[bytes]) -> npt.NDArray[np.bool_]:
    """Which files TensorFlow's decoders read as `pixels.decode` does, as they promise to.

    Not those that it knows nothing about: EXIF orientation, transparency, palettes, 16 bits, CMYK.
    """
    return np.array([_is_plain(data) for data in files])


def require_parity(encoded: Probabilities, expected: Probabilities, bound: float) -> None:
    """Hold the answers to files, float32 [N,C], against those to their pixels.

    Another first class is allowed where the source's own two are closer than the bound.

    Raises:
        RefusedError: a probability is further off than the bound, or the first class differs.
    """
    difference = float(np.abs(encoded - expected).max())
    if not difference <= bound:
        raise _refused(f"by {difference:.2g} (allowed: {bound:.2g})")
    best, theirs = expected.argmax(axis=1), encoded.argmax(axis=1)
    images = np.arange(len(expected))
    margins = expected[images, best] - expected[images, theirs]
    wrong = np.flatnonzero(margins > bound)
    if len(wrong):
        raise _refused(
            f"with another first class for {len(wrong)} of {len(expected)} golden images, "
            f"up to {margins.max():.2g} behind"
        )


def _is_plain(data: bytes) -> bool:
    with Image.open(BytesIO(data)) as image:
        upright = image.getexif().get(_ORIENTATION, _UPRIGHT) == _UPRIGHT
        return upright and image.mode in _MODES and not image.has_transparency_data


def _refused(how: str) -> RefusedError:
    return RefusedError(
        f"files decoded in the graph (top_k_encoded) are answered otherwise than pixels: {how}; "
        "if nobody sends files to the model server, state a wider --encoded-parity-bound",
        step=STEP,
    )
