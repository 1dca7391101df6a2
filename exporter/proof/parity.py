"""The exported graph against its source, on the same golden images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from contract.card import Parity
from exporter.errors import RefusedError
from exporter.graph.serving_graph import ServingGraph
from exporter.options import GoldenFile
from exporter.proof.goldens import Goldens
from exporter.proof.lines import GateLine

STEP = "parity"


def golden_answers(
    graph: ServingGraph,
    files: Sequence[GoldenFile],
    pixels: npt.NDArray[np.uint8],
    expected: npt.NDArray[np.float32],
) -> Goldens:
    """The source's answers to the golden pixels, and the graph's to the golden files.

    Args:
        graph: the exported one.
        files: the golden images.
        pixels: [N,H,W,3], what the gateway makes of them.
        expected: [N,C], the source's answers to these.
    """
    data = tuple(file.data for file in files)
    return Goldens(
        files=data,
        pixels=pixels,
        probabilities=expected,
        encoded_probabilities=graph.score(graph.decode(data)),
    )


def require_parity(graph: ServingGraph, goldens: Goldens, bound: float) -> Parity:
    """Hold the exported graph against its source on the same pixels.

    Raises:
        RefusedError: NaN, or a probability is further off than the bound.
    """
    probabilities = graph.score(goldens.pixels)
    parity = Parity(
        n=len(goldens.pixels),
        max_abs_difference=_difference(probabilities, goldens.probabilities),
        bound=bound,
        top_1_agreement=_agreement(probabilities, goldens.probabilities),
        encoded_max_abs_difference=_difference(
            goldens.encoded_probabilities, goldens.probabilities
        ),
        encoded_top_1_agreement=_agreement(goldens.encoded_probabilities, goldens.probabilities),
    )
    if parity.max_abs_difference > bound:
        raise RefusedError(
            f"the exported graph differs from its source by {parity.max_abs_difference:.2g} "
            f"(allowed: {bound:.2g}); check --preprocess, or state a wider --parity-bound",
            step=STEP,
        )
    return parity


def lines(parity: Parity) -> Iterator[GateLine]:
    """What was found, for people."""
    yield GateLine(
        step=STEP,
        found=f"{parity.max_abs_difference:.1e} from the source at most, on {parity.n} images",
        bound=f"{parity.bound:g}",
    )


def _difference(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    if one.shape != other.shape:
        raise RefusedError(
            f"the exported graph answers {one.shape}, its source {other.shape}", step=STEP
        )
    difference = float(np.abs(one - other).max())
    if not np.isfinite(difference):
        raise RefusedError(
            "NaN among the probabilities; look at the weights and --preprocess", step=STEP
        )
    return difference


def _agreement(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())
