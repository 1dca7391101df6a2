"""A classifier in this process as an answerer: a source, or a graph that is not saved yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.card import ClassInfo
from contract.image_spec import ImageSpec
from contract.pixels import decode
from exporter.accuracy.answers import MAX_K, Answers

Classify = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""uint8 [N,H,W,3] to probabilities [N,C]."""


@dataclass(frozen=True, slots=True)
class InProcess:
    """Pixels by `contract.pixels`, probabilities by a function."""

    name: str
    classes: Sequence[ClassInfo]
    image: ImageSpec
    classify: Classify

    @property
    def picture_bytes(self) -> int:
        """Of the pixels."""
        return self.image.height * self.image.width * 3

    def prepare(self, data: bytes) -> npt.NDArray[np.uint8]:
        """Decode as the gateway does: [H,W,3]."""
        return decode(data, self.image)

    def answer(self, prepared: Sequence[npt.NDArray[np.uint8]]) -> Answers:
        """The ten most probable classes; ties to the lower index, as in the graph."""
        return most_probable(self.classify(np.stack(prepared)))


def most_probable(probabilities: npt.NDArray[np.float32], k: int = MAX_K) -> Answers:
    """Probabilities [N,C] to the best [N,min(C,k)]."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return Answers(
        order.astype(np.int32), np.take_along_axis(probabilities, order, axis=1).astype(np.float32)
    )
