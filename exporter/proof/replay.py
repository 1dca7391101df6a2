"""Ask every signature of a served version for the golden images and compare the answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from contract import signatures as names
from contract.card import ModelCard
from exporter.batches import images_at_once
from exporter.errors import FailedError, RefusedError
from exporter.proof.goldens import Goldens
from protocol.blocking import BlockingClient
from protocol.client import Array, ProtocolError
from protocol.models import ModelSpec

Outputs = Mapping[str, Array]

_PROTOCOLS: Final = {"grpc": "gRPC", "http": "REST", "https": "REST"}
_QUERIES: Final = 2
_MOST_AT_ONCE: Final = 32
_REST_IMAGES: Final = 1
"""Pixels as JSON numbers are some 0.6 MB per 224-pixel image: one is proof enough."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One signature over one protocol: how far its probabilities were from the goldens."""

    protocol: str
    signature: str
    images: int
    max_abs_difference: float


class _MismatchError(Exception):
    """An answer is not the expected one."""


def replay(
    client: BlockingClient,
    spec: ModelSpec,
    goldens: Goldens,
    card: ModelCard,
    bound: float,
    signatures: Iterable[str] = names.SIGNATURE_NAMES,
    *,
    encoded_bound: float | None = None,
) -> list[Checked]:
    """Compare the answers of signatures, all five if not told otherwise.

    Args:
        client: the model server.
        spec: the served version.
        goldens: images and expected probabilities.
        card: the expected card; labels and K come from it.
        bound: largest allowed difference of any probability.
        signatures: which to ask.
        encoded_bound: the same for files that the model server decodes; None: `bound`, as all do
            that run the version's own graph.

    Raises:
        RefusedError: an answer differs.
        FailedError: a signature did not answer.
    """
    protocol = _PROTOCOLS[client.scheme]
    few = len(goldens.pixels) if client.scheme == "grpc" else _REST_IMAGES
    pixels, expected = goldens.pixels, goldens.probabilities
    raw = _strings([image.tobytes() for image in pixels])
    files = _strings(goldens.files)
    asked: list[tuple[str, str, Array, npt.NDArray[np.float32]]] = [
        (names.SERVING_DEFAULT, names.IMAGES, pixels[:few], expected[:few]),
        (names.TOP_K, names.IMAGES, pixels[:few], expected[:few]),
        (names.TOP_K_RAW, names.PIXELS, raw, expected),
        (names.TOP_K_ENCODED, names.IMAGE_BYTES, files, goldens.encoded_probabilities),
    ]
    wanted_signatures = frozenset(signatures)
    results = []
    for signature, name, value, wanted in asked:
        if signature not in wanted_signatures:
            continue
        size = images_at_once(_MOST_AT_ONCE, *pixels.shape[1:3])
        answer = _ask_in_batches(client, spec, signature, name, value, size)
        try:
            allowed = bound if signature != names.TOP_K_ENCODED else encoded_bound or bound
            difference = _compare(answer, wanted, card, allowed)
        except (_MismatchError, KeyError) as error:
            raise RefusedError(
                f"the model server's {signature} over {protocol} is not the golden answer: {error}",
                step="model server",
            ) from error
        results.append(Checked(protocol, signature, len(value), difference))
    if names.MODEL_CARD not in wanted_signatures:
        return results
    queries = np.zeros(_QUERIES, dtype=np.int32)
    _check_card(_ask(client, spec, names.MODEL_CARD, names.QUERY, queries), card, protocol)
    results.append(Checked(protocol, names.MODEL_CARD, _QUERIES, 0.0))
    return results


def _ask_in_batches(
    client: BlockingClient, spec: ModelSpec, signature: str, name: str, value: Array, size: int
) -> Outputs:
    starts = range(0, len(value), size)
    answers = [_ask(client, spec, signature, name, value[i : i + size]) for i in starts]
    return {output: np.concatenate([answer[output] for answer in answers]) for output in answers[0]}


def _ask(
    client: BlockingClient, spec: ModelSpec, signature: str, name: str, value: Array
) -> Outputs:
    try:
        return client.predict(replace(spec, signature_name=signature), name, value).outputs
    except ProtocolError as error:
        raise FailedError(
            f"signature {signature} over {_PROTOCOLS[client.scheme]}: {error}"
        ) from error


def _compare(
    answer: Outputs, expected: npt.NDArray[np.float32], card: ModelCard, bound: float
) -> float:
    is_top_k = names.CLASS_INDICES in answer
    compare = _compare_top_k if is_top_k else _compare_probabilities
    difference = compare(answer, expected, card)
    if difference > bound:
        raise _MismatchError(f"off by {difference:.2g}, allowed are {bound:.2g}")
    return difference


def _compare_probabilities(
    answer: Outputs, expected: npt.NDArray[np.float32], _card: ModelCard
) -> float:
    # REST leaves the name of a single output out.
    probabilities = answer.get(names.PROBABILITIES, answer.get(""))
    if probabilities is None or probabilities.shape != expected.shape:
        raise _MismatchError(f"outputs {sorted(answer)}, wanted probabilities {expected.shape}")
    return _difference(probabilities, expected)


def _compare_top_k(answer: Outputs, expected: npt.NDArray[np.float32], card: ModelCard) -> float:
    indices = answer[names.CLASS_INDICES]
    probabilities = answer[names.PROBABILITIES]
    if indices.shape != (len(expected), card.k) or probabilities.shape != indices.shape:
        raise _MismatchError(f"shape {indices.shape}, wanted {(len(expected), card.k)}")
    if (np.diff(probabilities, axis=1) > 0).any():
        raise _MismatchError("the probabilities do not descend")
    labels = np.array([label.encode() for label in card.labels], dtype=object)
    if not (labels[indices] == answer[names.LABELS]).all():
        raise _MismatchError("labels and class indices do not belong together")
    # Two near-equal classes may change places: hold both the values and their classes against
    # the expected probabilities, never the order of the classes.
    best = -np.sort(-expected, axis=1)[:, : card.k]
    at_classes = np.take_along_axis(expected, indices.astype(np.int64), axis=1)
    return max(_difference(probabilities, best), _difference(probabilities, at_classes))


def _check_card(answer: Outputs, card: ModelCard, protocol: str) -> None:
    texts = answer.get(names.CARD, answer.get(""))
    if texts is None or texts.shape != (_QUERIES,):
        raise RefusedError(
            f"the model card over {protocol} has the wrong shape", step="model server"
        )
    if any(ModelCard.model_validate_json(text) != card for text in texts):
        raise RefusedError(
            f"the model card over {protocol} is another model's", step="model server"
        )


def _difference(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    difference = float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())
    if np.isnan(difference):
        raise _MismatchError("NaN among the probabilities")
    return difference


def _strings(items: Any) -> npt.NDArray[Any]:
    """A 1-D array of bytes objects (`np.array` would cut trailing zero bytes)."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
