"""How far a lighter variant of a version may be from the original: stated bounds per kind.

Set by EfficientNet-Lite0's ImageNet weights on photographs and on the drawn golden images, where
bfloat16 was off by 0.038 at most, float16 by 0.004, dynamic by 0.027, int8 by 0.17. Two classes
closer than the bound are a tie: which of them comes first is no disagreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from exporter.errors import RefusedError
from exporter.proof.lines import GateLine

Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Bound:
    """What a kind of variant is held to."""

    difference: float
    """Largest one of any probability."""
    agreement: float
    """Smallest share of images with the same first class."""


BOUNDS: Final = {
    "bfloat16": Bound(0.1, 1.0),
    "openvino bf16": Bound(0.1, 1.0),
    "openvino int8": Bound(0.25, 0.8),
    "tflite none": Bound(1e-4, 1.0),
    "tflite float16": Bound(0.02, 1.0),
    "tflite dynamic": Bound(0.1, 0.9),
    "tflite int8": Bound(0.25, 0.8),
}


@dataclass(frozen=True, slots=True)
class Likeness:
    """A variant's answers against the original's."""

    n: int
    max_abs_difference: float
    agreement: float


def compare(got: Probabilities, expected: Probabilities, tie: float) -> Likeness:
    """Two answers to the same images, float32 [N,C] each; classes within `tie` may change places.

    Raises:
        ValueError: they are of different shapes.
    """
    if got.shape != expected.shape:
        raise ValueError(f"answers {got.shape}, not {expected.shape}")
    wide, original = got.astype(np.float64), expected.astype(np.float64)
    highest = original.max(axis=1)
    chosen = np.take_along_axis(original, wide.argmax(axis=1)[:, np.newaxis], axis=1)[:, 0]
    agreed = chosen >= highest - tie
    return Likeness(len(original), float(np.abs(wide - original).max()), float(agreed.mean()))


def require_alike(kind: str, got: Probabilities, expected: Probabilities) -> GateLine:
    """Hold a variant of a kind of BOUNDS against the original.

    Raises:
        RefusedError: NaN, another shape, or outside of the kind's bound.
    """
    bound, step = BOUNDS[kind], f"{kind.partition(' ')[0]} parity"
    try:
        found = compare(got, expected, bound.difference)
    except ValueError as error:
        raise RefusedError(f"the {kind} variant {error}", step=step) from error
    text = (
        f"{kind}: off by {found.max_abs_difference:.1e} at most, "
        f"the same first class for {found.agreement:.0%} of {found.n} images"
    )
    allowed = f"{bound.difference:g}, {bound.agreement:.0%}"
    # Written so that NaN is refused as well.
    if not (found.max_abs_difference <= bound.difference and found.agreement >= bound.agreement):
        raise RefusedError(f"{text} (allowed: {allowed}); leave it out, or look at it", step=step)
    return GateLine(step=step, found=text, bound=allowed)
