"""Ask a gateway for the golden files, as a client would, and compare the answers.

The gateway decodes the files itself, by `contract.pixels`, so its answers are held against those
to the golden pixels: decoding, batching, labels and versions on the way are proven with the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.card import ModelCard
from exporter.errors import FailedError, RefusedError
from exporter.proof.gateway import Answer, Gateway, UnreadableImageError
from exporter.proof.goldens import Goldens
from exporter.proof.replay import Checked

_STEP: Final = "gateway"
_BATCH: Final = 8
_ROUNDING: Final = 5e-8
"""A gateway's JSON has seven digits."""


def replay_gateway(
    gateway: Gateway, name: str, version: int, goldens: Goldens, card: ModelCard, bound: float
) -> list[Checked]:
    """Compare the card and the answers of both routes.

    Raises:
        RefusedError: one of them differs.
        FailedError: the gateway did not answer.
    """
    _, served = gateway.card(name, version)
    if served != card:
        raise RefusedError(f"the gateway's {name} version {version} has another card", step=_STEP)
    asked = {"model": name, "version": version, "top_k": card.k}
    try:
        single = [gateway.classify(data, **asked) for data in goldens.files]
        several = [
            answer
            for start in range(0, len(goldens.files), _BATCH)
            for answer in gateway.classify_batch(goldens.files[start : start + _BATCH], **asked)
        ]
    except UnreadableImageError as error:
        raise FailedError(f"the gateway refuses a golden image: {error}") from error
    checked = [Checked("HTTP", f"GET /models/{name}", 1, 0.0)]
    for route, answers in (("POST /classify", single), ("POST /classify/batch", several)):
        difference = _compare_all(answers, version, goldens.probabilities, card)
        if not difference <= bound + _ROUNDING:
            raise RefusedError(
                f"{route}: off by {difference:.2g} from the goldens, allowed are {bound:.2g}",
                step=_STEP,
            )
        checked.append(Checked("HTTP", route, len(answers), difference))
    return checked


def _compare_all(
    answers: Sequence[Answer], version: int, expected: npt.NDArray[np.float32], card: ModelCard
) -> float:
    """The largest difference of a probability; `expected` is [N,C]."""
    if len(answers) != len(expected):
        raise RefusedError(f"{len(answers)} answers to {len(expected)} images", step=_STEP)
    return max(
        _compare(answer, version, row, card) for answer, row in zip(answers, expected, strict=True)
    )


def _compare(
    answer: Answer, version: int, expected: npt.NDArray[np.float32], card: ModelCard
) -> float:
    if (answer.model_name, answer.version) != (card.model_name, version):
        raise RefusedError(
            f"asked for version {version} of {card.model_name}, version {answer.version} of "
            f"{answer.model_name} answered",
            step=_STEP,
        )
    if len(answer.predictions) != card.k:
        raise RefusedError(f"{len(answer.predictions)} classes, not {card.k}", step=_STEP)
    for each in answer.predictions:
        known = card.classes[each.class_index] if each.class_index < len(card.classes) else None
        if known is None or (each.label, each.id) != (known.label, known.id):
            raise RefusedError(
                f"class {each.class_index} is called {each.label!r}: labels and class indices do "
                "not belong together",
                step=_STEP,
            )
    # Near-equal classes may change places: their values count, never their order.
    best = -np.sort(-expected.astype(np.float64))[: card.k]
    at_classes = expected[[each.class_index for each in answer.predictions]]
    probabilities = np.array([each.probability for each in answer.predictions])
    return float(max(abs(probabilities - best).max(), abs(probabilities - at_classes).max()))
