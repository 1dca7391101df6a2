"""A network as a scorer: uint8 pixels in, probabilities out; by graph and by reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from contract.card import Task
from exporter.errors import RefusedError, UsageError, first_line
from exporter.graph.batch_sizes import failing_sizes
from exporter.graph.ending import Ending
from exporter.graph.task import STEP, Scores, decide
from exporter.options import Activation
from exporter.preprocessing import NONE, Preprocess
from exporter.sources import grey, preprocess
from exporter.sources.network import Network

_BATCH_SIZES: Final = (1, 2, 3, 4, 8)
"""Tried on a network that fails: does it take some?"""


Predict = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Scorer:
    """What is exported, and what it is held against."""

    score: Callable[[tf.Tensor], tf.Tensor]
    """uint8 [N,H,W,3] to float32 [N,C], for tracing."""
    reference: Callable[[npt.NDArray[np.uint8]], Scores]
    """The same by the source's own means."""
    preprocess: Preprocess
    activation: Activation
    """What the graph adds behind the network."""
    task: Task
    class_count: int
    is_binary: bool = False
    """The network has one output p; the classes are 1-p and p."""


def make_scorer(
    network: Network,
    pixels: npt.NDArray[np.uint8],
    *,
    ending: Ending | None = None,
    mode: Preprocess | None = None,
    task: Task | None = None,
    activation: Activation | None = None,
) -> Scorer:
    """Settle preprocessing, task and activation by looking at the network's graph and scores.

    Args:
        network: the source.
        pixels: uint8 [N,H,W,3], images to try it on.
        ending: what its graph ends in; None: the scores alone have to tell.
        mode: None: what the source says, else none.
        task: None: multi_label after a sigmoid, else single_label.
        activation: None: softmax or sigmoid by the task where the scores are logits, else none.

    Raises:
        RefusedError: the scores are NaN, infinite, or no probabilities after all.
        UsageError: the scores fit neither task, so that somebody has to say which.
    """
    mode = mode or network.preprocess or NONE
    preprocess.require_fitting(mode, network.channels)
    prepare = _preparation(network, mode)
    scores = _scores(network, prepare(pixels))
    answer = decide(network, scores, ending, task=task, activation=activation)

    def score(images: tf.Tensor) -> tf.Tensor:
        seen = grey.in_graph(images) if network.channels == 1 else images
        prepared = preprocess.in_graph(mode, seen, network.dtype)
        return answer.in_graph(tf.cast(network.call(prepared), tf.float32))

    def reference(images: npt.NDArray[np.uint8]) -> Scores:
        return answer.in_numpy(network.predict(prepare(images)))

    class_count = answer.in_numpy(scores).shape[1]
    return Scorer(
        score, reference, mode, answer.activation, answer.task, class_count, answer.is_binary
    )


def predictors(network: Network) -> dict[str, Predict]:
    """The source's own scores of uint8 pixels [N,H,W,3], behind each named mode that fits it."""
    channels = network.channels
    fitting = [
        mode for mode in preprocess.named_modes() if channels != 1 or not mode.is_per_channel
    ]
    return {str(mode): _behind(network, mode) for mode in fitting}


def _behind(network: Network, mode: Preprocess) -> Predict:
    prepare = _preparation(network, mode)
    return lambda pixels: network.predict(prepare(pixels))


def _preparation(network: Network, mode: Preprocess) -> Predict:
    own = network.preprocess_input if mode == network.preprocess else None
    prepare = own or preprocess.reference(mode)

    def prepared(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        seen = grey.reference(pixels) if network.channels == 1 else pixels
        return prepare(seen.astype(np.float32))

    return prepared


def _scores(network: Network, prepared: npt.NDArray[np.float32]) -> Scores:
    try:
        scores = network.predict(prepared)
    except Exception as error:
        raise _failure(network, prepared, error) from error
    if scores.ndim != 2 or len(scores) != len(prepared):  # noqa: PLR2004 - [N,C]
        raise UsageError(f"{network.source.name}: answers {scores.shape} to {len(prepared)} images")
    if not np.isfinite(scores).all():
        raise RefusedError(
            f"{network.source.name} answers NaN or infinity; look at its weights and --preprocess",
            step=STEP,
        )
    return scores


def _failure(network: Network, prepared: npt.NDArray[np.float32], error: Exception) -> RefusedError:
    name = network.source.name
    sizes = [size for size in _BATCH_SIZES if size <= len(prepared)]
    failing = failing_sizes(network.predict, prepared, sizes)
    if len(failing) < len(sizes):
        listed = ", ".join(map(str, failing)) or f"{len(prepared)}"
        return RefusedError(
            f"{name} takes only some batch sizes: it fails with {listed} images "
            f"({first_line(error)}); build it for batches of any size",
            step="behaviour",
        )
    hint = " (its variables did not come along)" if "variable" in str(error) else ""
    size = f"{prepared.shape[1]}x{prepared.shape[2]}"
    return RefusedError(f"{name} fails on images of {size}{hint}: {first_line(error)}")
