"""How far a version's probabilities may be from its source's, by the source's precision.

Freezing folds constants and fuses ops, so sums are rounded elsewhere than in the source. Each
rounding moves a logit by up to its type's epsilon, and a softmax passes on at most a quarter of
that. The bounds of half precision are ten epsilons: docs/exporter.md has what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_EPSILONS: Final = 10
_BOUNDS: Final[Mapping[str, float]] = {
    "float32": 1e-4,
    "float16": round(_EPSILONS * 2**-10, 3),
    "bfloat16": round(_EPSILONS * 2**-7, 2),
}


def parity_bound(precision: str) -> float:
    """The largest difference of a probability, where nobody has said another."""
    return _BOUNDS.get(precision, _BOUNDS["float32"])
