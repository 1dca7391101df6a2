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
from exporter.options import Activation
from exporter.preprocessing import NONE, Preprocess
from exporter.sources import grey, preprocess
from exporter.sources.network import Network

_ADDED: Final[dict[Task, Activation]] = {"single_label": "softmax", "multi_label": "sigmoid"}
_SUM_TOLERANCE: Final = 5e-3  # float16 networks round each of a thousand probabilities


@dataclass(frozen=True, slots=True)
class Scorer:
    """What is exported, and what it is held against."""

    score: Callable[[tf.Tensor], tf.Tensor]
    """uint8 [N,H,W,3] to float32 [N,C], for tracing."""
    reference: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
    """The same by the source's own means."""
    preprocess: Preprocess
    activation: Activation
    """What the graph adds behind the network."""
    task: Task
    class_count: int


def make_scorer(
    network: Network,
    pixels: npt.NDArray[np.uint8],
    *,
    mode: Preprocess | None = None,
    task: Task | None = None,
    activation: Activation | None = None,
) -> Scorer:
    """Settle preprocessing, task and activation by looking at the network's scores.

    Args:
        network: the source.
        pixels: uint8 [N,H,W,3], images to try it on.
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
    task = task or _task(network, scores)
    added = activation or _missing_activation(network, scores, task)
    probabilities = _activate_array(added, scores)
    _require_probabilities(probabilities, task)

    def score(images: tf.Tensor) -> tf.Tensor:
        seen = grey.in_graph(images) if network.channels == 1 else images
        prepared = preprocess.in_graph(mode, seen, network.dtype)
        return _activate(added, tf.cast(network.call(prepared), tf.float32))

    def reference(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        raw = network.predict(prepare(images))
        return _activate_array(added, raw)

    return Scorer(score, reference, mode, added, task, scores.shape[1])


def _preparation(
    network: Network, mode: Preprocess
) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    own = network.preprocess_input if mode == network.preprocess else None
    prepare = own or preprocess.reference(mode)

    def prepared(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        seen = grey.reference(pixels) if network.channels == 1 else pixels
        return prepare(seen.astype(np.float32))

    return prepared


def _scores(network: Network, prepared: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    try:
        scores = network.predict(prepared)
    except Exception as error:
        hint = " (its variables did not come along)" if "variable" in str(error) else ""
        raise RefusedError(
            f"{network.source.name} fails on images of {prepared.shape[1]}x{prepared.shape[2]}"
            f"{hint}: {first_line(error)}"
        ) from error
    if scores.ndim != 2 or len(scores) != len(prepared):  # noqa: PLR2004 - [N,C]
        raise UsageError(f"{network.source.name}: answers {scores.shape} to {len(prepared)} images")
    if not np.isfinite(scores).all():
        raise RefusedError(
            f"{network.source.name} answers NaN or infinity; look at its weights and --preprocess"
        )
    return scores


def _task(network: Network, scores: npt.NDArray[np.float32]) -> Task:
    if network.final_activation == "softmax" or _sums_to_one(scores):
        return "single_label"
    if network.final_activation == "sigmoid":
        return "multi_label"
    if network.final_activation in {None, "linear"} and not _in_unit_interval(scores):
        return "single_label"  # logits: softmax is by far the usual end
    raise UsageError(
        f"{network.source.name}: its scores lie in 0..1 but do not sum to 1; "
        "say --task multi_label for one sigmoid per class, or --activation softmax for logits"
    )


def _missing_activation(
    network: Network, scores: npt.NDArray[np.float32], task: Task
) -> Activation:
    if network.final_activation in {"softmax", "sigmoid"}:
        return "none"
    is_done = _sums_to_one(scores) if task == "single_label" else _in_unit_interval(scores)
    return "none" if is_done else _ADDED[task]


def _require_probabilities(probabilities: npt.NDArray[np.float32], task: Task) -> None:
    if not _in_unit_interval(probabilities):
        raise RefusedError(
            f"the scores run from {probabilities.min():.3g} to {probabilities.max():.3g}: "
            "no probabilities; say --activation softmax or sigmoid"
        )
    if task == "single_label" and not _sums_to_one(probabilities):
        raise RefusedError(
            "the probabilities of an image do not sum to 1; say --task multi_label, "
            "or --activation softmax if they are logits"
        )


def _in_unit_interval(scores: npt.NDArray[np.float32]) -> bool:
    return bool((scores >= 0).all() and (scores <= 1 + _SUM_TOLERANCE).all())


def _sums_to_one(scores: npt.NDArray[np.float32]) -> bool:
    return _in_unit_interval(scores) and bool(
        (np.abs(scores.sum(axis=1) - 1) < _SUM_TOLERANCE).all()
    )


def _activate(activation: Activation, scores: tf.Tensor) -> tf.Tensor:
    if activation == "softmax":
        return tf.nn.softmax(scores)
    return tf.nn.sigmoid(scores) if activation == "sigmoid" else scores


def _activate_array(
    activation: Activation, scores: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """In NumPy and float64, so that it shares nothing with the graph."""
    wide = scores.astype(np.float64)
    if activation == "softmax":
        exponentials = np.exp(wide - wide.max(axis=1, keepdims=True))
        wide = exponentials / exponentials.sum(axis=1, keepdims=True)
    elif activation == "sigmoid":
        wide = 1 / (1 + np.exp(-np.clip(wide, -500, 500)))
    return wide.astype(np.float32)
