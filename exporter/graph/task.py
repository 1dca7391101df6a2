"""What a network's scores mean: single or several labels, two classes in one output, or nothing.

    outputs   ends in         task            added     probabilities
    1         a logit         binary          sigmoid   [1-p, p]
    1         a probability   binary          none      [1-p, p]
    1         …               multi_label     as above  [p], for the one label
    C > 1     a logit         single_label    softmax   [C]
    C > 1     a logit         multi_label     sigmoid   [C]
    C > 1     softmax         single_label    none      [C]
    C > 1     sigmoid         multi_label     none      [C]

Refused: an activation behind another, a softmax over one output, a softmax as several labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from contract.card import Task
from exporter.errors import RefusedError, UsageError
from exporter.graph.ending import Ending
from exporter.options import Activation
from exporter.sources.network import Network

Scores = npt.NDArray[np.float32]

STEP: Final = "scores"
_ADDED: Final[dict[Task, Activation]] = {"single_label": "softmax", "multi_label": "sigmoid"}
_MEANT: Final[dict[str | None, Task]] = {added: task for task, added in _ADDED.items()}
_SUM_TOLERANCE: Final = 5e-3  # float16 networks round each of a thousand probabilities


@dataclass(frozen=True, slots=True)
class Answer:
    """How scores [N,S] become probabilities [N,C]."""

    task: Task
    activation: Activation
    """What is added behind the network."""
    is_binary: bool = False
    """One output p is two classes: 1-p and p."""

    def in_graph(self, scores: tf.Tensor) -> tf.Tensor:
        """float32 [N,S] to float32 [N,C]."""
        if self.activation == "softmax":
            return tf.nn.softmax(scores)
        probabilities = tf.nn.sigmoid(scores) if self.activation == "sigmoid" else scores
        if not self.is_binary:
            return probabilities
        return tf.concat([1 - probabilities, probabilities], axis=-1)

    def in_numpy(self, scores: Scores) -> Scores:
        """The same in float64, so that it shares nothing with the graph."""
        wide = scores.astype(np.float64)
        if self.activation == "softmax":
            exponentials = np.exp(wide - wide.max(axis=1, keepdims=True))
            wide = exponentials / exponentials.sum(axis=1, keepdims=True)
        elif self.activation == "sigmoid":
            wide = 1 / (1 + np.exp(-np.clip(wide, -500, 500)))
        if self.is_binary:
            wide = np.concatenate([1 - wide, wide], axis=1)
        return wide.astype(np.float32)


def decide(
    network: Network,
    scores: Scores,
    ending: Ending | None,
    *,
    task: Task | None,
    activation: Activation | None,
) -> Answer:
    """Settle task and activation.

    Args:
        network: the source; its own word on its activation counts where the graph shows none.
        scores: float32 [N,S], what it answers to some images.
        ending: what its graph ends in; None: not looked at.
        task: None: found out.
        activation: None: what the scores lack.

    Raises:
        RefusedError: the scores are no probabilities, or would pass two activations.
        UsageError: they fit several tasks or none, so that somebody has to say which.
    """
    name = network.source.name
    last = _last_activation(network, ending)
    _require_one_activation(name, ending, last, scores, activation)
    if activation == "softmax" and task == "multi_label":
        raise UsageError("--activation softmax gives one label; leave --task multi_label out")
    if scores.shape[1] == 1:
        answer = _of_one_output(name, scores, ending, last, task=task, activation=activation)
    else:
        answer = _of_several(name, scores, last, task=task, activation=activation)
    _require_probabilities(answer.in_numpy(scores), answer.task)
    return answer


def _last_activation(network: Network, ending: Ending | None) -> str | None:
    if ending is not None and ending.activations:
        return ending.activations[0]
    return "linear" if ending is not None and ending.is_linear else network.final_activation


def _require_one_activation(
    name: str,
    ending: Ending | None,
    last: str | None,
    scores: Scores,
    activation: Activation | None,
) -> None:
    if ending is not None and len(ending.activations) > 1:
        outer, inner = ending.activations[:2]
        raise _refused(
            f"{name} ends in a {outer} behind a {inner}, which makes its probabilities all "
            "alike; take one of the two out of the model"
        )
    if activation in {None, "none"}:
        return
    if last in {"softmax", "sigmoid"}:
        own = f"ends in a {last}"
    elif activation == "softmax" and scores.shape[1] > 1 and _sums_to_one(scores):
        own = "answers probabilities that sum to 1"
    else:
        return
    raise _refused(f"{name} {own} already: leave --activation {activation} out")


def _of_one_output(
    name: str,
    scores: Scores,
    ending: Ending | None,
    last: str | None,
    *,
    task: Task | None,
    activation: Activation | None,
) -> Answer:
    if "softmax" in {last, activation}:
        raise _refused(
            f"{name}: a softmax over one output is always 1; "
            "a network with one output ends in a sigmoid, or in none"
        )
    if activation is None and last != "sigmoid":
        is_logit = not _is_probability(scores, last)
        if not is_logit and ending is not None:
            raise UsageError(
                f"{name}: its one score lies in 0..1 and comes out of no sigmoid; say "
                "--activation none if it is a probability, --activation sigmoid if it is a logit"
            )
        activation = "sigmoid" if is_logit else "none"
    task = task or "single_label"
    return Answer(task, activation or "none", is_binary=task == "single_label")


def _of_several(
    name: str,
    scores: Scores,
    last: str | None,
    *,
    task: Task | None,
    activation: Activation | None,
) -> Answer:
    is_softmax = last == "softmax" or (last != "sigmoid" and _sums_to_one(scores))
    if task == "multi_label" and is_softmax:
        raise _refused(
            f"{name} answers one label per image (its scores sum to 1): "
            "leave --task multi_label out"
        )
    task = task or _MEANT.get(activation) or _task(name, last, scores)
    if activation is None:
        is_done = _sums_to_one(scores) if task == "single_label" else _is_probability(scores, last)
        activation = "none" if is_done or last in {"softmax", "sigmoid"} else _ADDED[task]
    return Answer(task, activation)


def _task(name: str, last: str | None, scores: Scores) -> Task:
    if last == "softmax" or _sums_to_one(scores):
        return "single_label"
    if last == "sigmoid":
        return "multi_label"
    if last in {None, "linear"} and not _is_probability(scores, last):
        return "single_label"  # logits: softmax is by far the usual end
    raise UsageError(
        f"{name}: its scores lie in 0..1 but do not sum to 1; "
        "say --task multi_label for one sigmoid per class, or --activation softmax for logits"
    )


def _require_probabilities(probabilities: Scores, task: Task) -> None:
    if not _in_unit_interval(probabilities):
        raise _refused(
            f"the scores run from {probabilities.min():.3g} to {probabilities.max():.3g}: "
            "no probabilities; say --activation softmax or sigmoid"
        )
    if task == "single_label" and not _sums_to_one(probabilities):
        raise _refused(
            "the probabilities of an image do not sum to 1; say --task multi_label, "
            "or --activation softmax if they are logits"
        )


def _is_probability(scores: Scores, last: str | None) -> bool:
    # Logits of a timid network may all lie in 0..1: only its last layer can tell.
    return last != "linear" and _in_unit_interval(scores)


def _in_unit_interval(scores: Scores) -> bool:
    return bool((scores >= 0).all() and (scores <= 1 + _SUM_TOLERANCE).all())


def _sums_to_one(scores: Scores) -> bool:
    return _in_unit_interval(scores) and bool(
        (np.abs(scores.sum(axis=1) - 1) < _SUM_TOLERANCE).all()
    )


def _refused(message: str) -> RefusedError:
    return RefusedError(message, step=STEP)
