"""How a graph behaves as a server will ask it: batches of any size, any company, extreme images.

Some 40 answers, however many golden images there are:

batch               images                                          refused
1, 2, 3, 8          the first goldens                               an error; NaN; all alike
8                   the same again                                  another answer: step repeat
1                   the last of them, alone                         another answer: step company
6                   black, white, red, green, blue, squares         NaN, no probabilities
14                  extremes among the goldens in reverse           another answer: step company

Large images come in smaller batches, of three at least: see `batches.images_at_once`.
Answers are compared within the parity bound. Kernels that depend on the batch size round by some
1e-6; what dropout, noise or BatchNorm in training mode change by less than that bound changes no
answer either.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Final, NoReturn

import numpy as np
import numpy.typing as npt

from exporter.batches import ask_in_batches, images_at_once
from exporter.errors import RefusedError, first_line
from exporter.graph.batch_sizes import Answer
from exporter.proof.lines import GateLine

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]

_BEHAVIOUR: Final = "behaviour"
_COMPANY: Final = "company"
_REPEAT: Final = "repeat"

_SUBJECTS: Final = 8
_MIXED: Final = 14
_SIZES: Final = (1, 2, 3)
_UNIT_TOLERANCE: Final = 5e-3
_CONSTANT_ULPS: Final = 4
"""How far the rows of a constant model may lie apart: matrices are multiplied in blocks."""

_COLOURS: Final = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
}
_SQUARE: Final = 8


def require_healthy(
    answer: Answer, pixels: Pixels, *, bound: float, may_be_constant: bool = False
) -> list[GateLine]:
    """Refuse what a few golden images in one batch do not show.

    Args:
        answer: the exported graph, uint8 [N,H,W,3] to float32 [N,C].
        pixels: the golden images; the first eight are used, of large ones fewer.
        bound: the largest difference of a probability between two answers to one image.
        may_be_constant: random weights, whose answers mean nothing anyway.

    Raises:
        RefusedError: steps behaviour, company and repeat.
    """
    at_once = _at_once(pixels)
    subjects = pixels[: min(_SUBJECTS, at_once)]
    sizes = [*(size for size in _SIZES if size < len(subjects)), len(subjects)]
    by_size = _answers(answer, subjects, sizes)
    ask = partial(_ask, answer)
    alone = by_size[len(subjects)]
    _require_probabilities(alone, [f"golden image {index}" for index in range(len(subjects))])
    if _is_constant(alone) and not may_be_constant:
        raise _refused(
            f"the same answer to all {len(subjects)} golden images: the model is constant; "
            "look at its weights and --preprocess",
            _BEHAVIOUR,
        )
    again = _difference(ask(subjects), alone)
    if not again <= bound:
        raise _refused(
            f"asked twice, the same batch is answered otherwise by {again:.2g} (allowed: "
            f"{bound:.2g}): dropout or a random operation is active; export the model for "
            "inference (training=False)",
            _REPEAT,
        )
    apart = _require_any_company(ask, subjects, by_size, bound)
    return [
        GateLine(step=_BEHAVIOUR, found=_found(sizes, alone)),
        GateLine(step=_REPEAT, found=f"largest difference {again:.1e}", bound=f"{bound:g}"),
        GateLine(step=_COMPANY, found=f"largest difference {apart:.1e}", bound=f"{bound:g}"),
    ]


def refuse_state(
    answer: Answer, pixels: Pixels, *, bound: float, changing: Collection[str]
) -> NoReturn:
    """Refuse a graph that changes its own variables: by what that does to answers, if it shows.

    BatchNorm in training mode updates its averages, dropout its seed. Such a graph cannot be
    frozen, and no server may run it.

    Args:
        answer: the graph before freezing.
        pixels: as in `require_healthy`, like the bound.
        bound: largest difference.
        changing: the operations that do it.

    Raises:
        RefusedError: always; steps behaviour, company and repeat.
    """
    require_healthy(answer, pixels, bound=bound)
    raise _refused(
        f"the graph changes its own variables with every request ({', '.join(changing)}); "
        "export the model for inference (training=False)",
        _REPEAT,
    )


def extremes(height: int, width: int) -> dict[str, Pixels]:
    """Images at the ends of the range, each uint8 [height,width,3]: plain ones and squares."""
    images = {
        name: np.full((height, width, 3), colour, np.uint8) for name, colour in _COLOURS.items()
    }
    board = (np.indices((height, width)) // _SQUARE).sum(axis=0) % 2
    squares = np.repeat((board * 255).astype(np.uint8)[..., np.newaxis], 3, axis=2)
    return {**images, "black and white squares": squares}


def _answers(answer: Answer, subjects: Pixels, sizes: list[int]) -> dict[int, Probabilities]:
    found: dict[int, Probabilities] = {}
    reason = ""
    for size in sizes:
        try:
            found[size] = answer(subjects[:size])
        except Exception as error:  # noqa: BLE001 - whatever TensorFlow raises, this size fails
            reason = reason or f" ({first_line(error)})"
    failing = [size for size in sizes if len(found.get(size, ())) != size]
    if not failing:
        return found
    if failing == sizes:
        raise _refused(f"the graph answers no image{reason}", _BEHAVIOUR)
    raise _refused(
        f"the model takes only some batch sizes: of batches of {_listed(sizes)} images, "
        f"it fails with {_listed(failing)}{reason}; build it for batches of any size",
        _BEHAVIOUR,
    )


def _at_once(pixels: Pixels) -> int:
    """So many of them in one batch, and never so few that none has company."""
    return max(_SIZES[-1], images_at_once(_MIXED, *pixels.shape[1:3]))


def _ask(answer: Answer, images: Pixels) -> Probabilities:
    try:
        return answer(images)
    except Exception as error:
        raise _refused(
            f"the model fails with a batch of {len(images)} images: {first_line(error)}", _BEHAVIOUR
        ) from error


def _require_any_company(
    answer: Answer, subjects: Pixels, by_size: dict[int, Probabilities], bound: float
) -> float:
    """The largest difference to the answers in the first batch."""
    first = by_size[len(subjects)]
    named = extremes(*subjects.shape[1:3])
    extreme = np.stack([*named.values()])
    at_once = _at_once(subjects)
    of_extremes = ask_in_batches(answer, extreme, at_once)
    _require_probabilities(of_extremes, [f"a {name} image" for name in named])
    order = _mixed(len(extreme), len(subjects))
    mixed = ask_in_batches(answer, np.concatenate([extreme, subjects[::-1]])[order], at_once)
    differences = {
        f"in a batch of {size} and of {len(subjects)}": _difference(answers, first[:size])
        for size, answers in by_size.items()
    }
    differences |= {
        "alone and in company": _difference(answer(subjects[-1:]), first[-1:]),
        "in another order, beside black and white": _difference(
            mixed, np.concatenate([of_extremes, first[::-1]])[order]
        ),
    }
    how = max(differences, key=lambda each: _or_infinite(differences[each]))
    if not differences[how] <= bound:
        raise _refused(
            f"the same image is answered otherwise {how}: by {differences[how]:.2g} (allowed: "
            f"{bound:.2g}); one image of a batch changes another's answer, as BatchNorm in "
            "training mode does; export the model for inference (training=False)",
            _COMPANY,
        )
    return differences[how]


def _mixed(first: int, second: int) -> npt.NDArray[np.int64]:
    """An order of so many and so many others that keeps neither kind to itself in any batch."""
    places = np.concatenate([np.arange(count) / count for count in (first, second)])
    return np.argsort(places, kind="stable")


def _require_probabilities(answers: Probabilities, names: list[str]) -> None:
    for row, name in zip(answers, names, strict=True):
        if not np.isfinite(row).all():
            raise _refused(
                f"NaN or infinity is the answer to {name}; a division by zero or a logarithm "
                "of zero inside? look at layers that normalise by the image's own numbers",
                _BEHAVIOUR,
            )
        if row.min() < -_UNIT_TOLERANCE or row.max() > 1 + _UNIT_TOLERANCE:
            raise _refused(
                f"the answer to {name} runs from {row.min():.3g} to {row.max():.3g}: "
                "no probabilities; say --activation softmax or sigmoid",
                _BEHAVIOUR,
            )


def _is_constant(answers: Probabilities) -> bool:
    """No probability differs by more than rounding, those near 0 included."""
    largest = answers.max(axis=0)
    allowed = _CONSTANT_ULPS * np.finfo(np.float32).eps * np.abs(largest)
    return bool((largest - answers.min(axis=0) <= allowed).all())


def _difference(one: Probabilities, other: Probabilities) -> float:
    if one.shape != other.shape:
        return float("nan")
    return float(np.abs(one - other).max())


def _or_infinite(difference: float) -> float:
    return float("inf") if np.isnan(difference) else difference


def _found(sizes: list[int], answers: Probabilities) -> str:
    spread = float((answers.max(axis=0) - answers.min(axis=0)).max())
    return (
        f"answers batches of {_listed(sizes)} and black, white and plain images; "
        f"golden images differ by up to {spread:.1e}"
    )


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _refused(message: str, step: str) -> RefusedError:
    return RefusedError(message, step=step)
