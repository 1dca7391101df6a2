"""Which preprocessing the network was trained with, asked of labelled pictures.

Every mode is tried on a few dozen pictures, and those that keep up with the chosen one on up to two
hundred: a network costs what it costs, and most modes are hopeless at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from contract.image_spec import ImageSpec
from contract.pixels import ImageError, decode
from exporter.accuracy.answers import read_file
from exporter.accuracy.evaluation import Evaluation
from exporter.accuracy.intervals import is_above_guessing, paired_difference
from exporter.errors import RefusedError
from exporter.proof.lines import GateLine

STEP: Final = "preprocess"
_FIRST: Final = 40
_PICTURES: Final = 200
_CONFIDENCE: Final = 0.99
"""Four other modes are tried: at 95 % one of ten honest exports would meet a lucky one."""

Mode = str
Predict = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""Pixels uint8 [N,H,W,3] to scores [N,C], by one mode and the source."""


@dataclass(frozen=True, slots=True)
class ModeResult:
    """One mode on the first pictures of a spread over the set."""

    mode: Mode
    pictures: int
    top_1: float
    is_chosen: bool


def compare(
    evaluation: Evaluation, image: ImageSpec, chosen: Mode, predictors: Mapping[Mode, Predict]
) -> tuple[ModeResult, ...]:
    """Top-1 of every mode, the best first.

    Args:
        evaluation: of the exported graph, whose mode is the chosen one.
        image: how files become pixels.
        chosen: its mode.
        predictors: the source behind every other mode.

    Raises:
        RefusedError: another mode is right clearly more often.
    """
    places, pixels = _spread(evaluation, image)
    if not len(places):
        return ()
    truth, own = evaluation.truth[places], evaluation.right[places]
    results = [ModeResult(chosen, len(own), float(own.mean()), is_chosen=True)]
    for mode, predict in predictors.items():
        if mode != chosen and _has_a_score_per_class(predict, pixels, evaluation):
            right = _right(predict, pixels, truth, own)
            results.append(ModeResult(mode, len(right), float(right.mean()), is_chosen=False))
            if is_above_guessing(int(right.sum()), len(right), len(evaluation.classes)):
                _require_not_better(mode, right, chosen, own[: len(right)])
    return tuple(sorted(results, key=lambda result: -result.top_1))


def line(results: Sequence[ModeResult]) -> GateLine:
    """What the gate found."""
    texts = [
        f"{each.mode} {each.top_1:.3f}{' (chosen)' if each.is_chosen else ''}" for each in results
    ]
    return GateLine(step=STEP, found=f"top-1 by mode: {', '.join(texts)}")


def _has_a_score_per_class(
    predict: Predict, pixels: npt.NDArray[np.uint8], evaluation: Evaluation
) -> bool:
    """Not so where two classes are made of one score: its largest place says nothing."""
    return bool(predict(pixels[:1]).shape[1] == len(evaluation.classes))


def _right(
    predict: Predict,
    pixels: npt.NDArray[np.uint8],
    truth: npt.NDArray[np.int64],
    own: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    first: npt.NDArray[np.bool_] = _best(predict, pixels[:_FIRST]) == truth[:_FIRST]
    if first.sum() < own[:_FIRST].sum() or len(pixels) <= _FIRST:
        return first
    rest = _best(predict, pixels[_FIRST:]) == truth[_FIRST:]
    return np.concatenate([first, rest])


def _best(predict: Predict, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    best: npt.NDArray[np.int64] = predict(pixels).argmax(axis=1)
    return best


def _require_not_better(
    mode: Mode, right: npt.NDArray[np.bool_], chosen: Mode, own: npt.NDArray[np.bool_]
) -> None:
    gain = paired_difference(right, own, _CONFIDENCE)
    if gain.interval.low > 0:
        raise RefusedError(
            f"with preprocess {mode} the source is right on {right.mean():.3f} of {gain.n} "
            f"pictures, with {chosen}, which was chosen, on {own.mean():.3f} (99 % interval of the "
            f"gain {gain.interval.low:.3f} to {gain.interval.high:.3f}); say --preprocess {mode}",
            step=STEP,
        )


def _spread(
    evaluation: Evaluation, image: ImageSpec
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Pictures from all over the set, in mixed order: folders come sorted by class."""
    order = np.random.default_rng(0).permutation(len(evaluation.files))[:_PICTURES]
    places, pixels = [], []
    for place in order:
        try:
            pixels.append(decode(read_file(evaluation.files[place].path), image))
        except (OSError, ImageError):
            continue  # it was there a minute ago
        places.append(int(place))
    empty = np.empty((0, image.height, image.width, 3), np.uint8)
    return np.array(places, dtype=np.int64), np.stack(pixels) if pixels else empty
