"""The exported graph against its source, on the same golden images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.card import Parity
from exporter.batches import ask_in_batches, images_at_once
from exporter.errors import RefusedError
from exporter.graph.serving_graph import ServingGraph
from exporter.options import GoldenFile
from exporter.proof import encoded
from exporter.proof.goldens import Goldens
from exporter.proof.lines import GateLine

STEP: Final = "parity"
_BATCH_SIZE: Final = 8


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
        encoded_probabilities=_score(graph, graph.decode(data)),
    )


def require_parity(
    graph: ServingGraph,
    goldens: Goldens,
    bound: float,
    encoded_bound: float,
    precision: str = "float32",
) -> Parity:
    """Hold the exported graph against its source: on the same pixels, and on the same files.

    Args:
        graph: the exported one.
        goldens: the source's answers.
        bound: the largest difference of a probability.
        encoded_bound: the same for files that the graph decodes.
        precision: of the source, for the message.

    Raises:
        RefusedError: NaN, a probability is further off than its bound, or files decoded in the
            graph get another first class than pixels do.
    """
    probabilities = _score(graph, goldens.pixels)
    alike = encoded.decoded_alike(goldens.files)
    theirs, ours = goldens.encoded_probabilities[alike], goldens.probabilities[alike]
    parity = Parity(
        n=len(goldens.pixels),
        max_abs_difference=_difference(probabilities, goldens.probabilities),
        bound=bound,
        top_1_agreement=_agreement(probabilities, goldens.probabilities),
        encoded_max_abs_difference=_difference(theirs, ours),
        encoded_top_1_agreement=_agreement(theirs, ours),
        encoded_bound=encoded_bound,
    )
    if parity.max_abs_difference > bound:
        raise RefusedError(
            f"the exported graph differs from its source by {parity.max_abs_difference:.2g} "
            f"(allowed: {bound:.2g}, it computes in {precision}); "
            "check --preprocess, or state a wider --parity-bound",
            step=STEP,
        )
    encoded.require_parity(theirs, ours, encoded_bound)
    return parity


def lines(parity: Parity) -> Iterator[GateLine]:
    """What was found, for people."""
    yield GateLine(
        step=STEP,
        found=f"{parity.max_abs_difference:.1e} from the source at most, on {parity.n} images",
        bound=f"{parity.bound:g}",
    )
    yield GateLine(
        step=encoded.STEP,
        found=f"{parity.encoded_max_abs_difference:.1e} of files decoded in the graph at most",
        bound=f"{parity.encoded_bound:g}",
    )


def _score(graph: ServingGraph, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    size = images_at_once(_BATCH_SIZE, *pixels.shape[1:3])
    return ask_in_batches(graph.score, pixels, size)


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
