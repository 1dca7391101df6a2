"""What a version must pass to become visible: parity with its source, and a real model server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from contract import signatures as names
from contract.card import ModelCard, Parity
from exporter.errors import FailedError, RefusedError
from exporter.graph.functions import Signatures
from exporter.graph.scorer import Scorer
from exporter.options import GoldenFile
from exporter.proof.goldens import Goldens
from exporter.proof.model_server_process import command_of, running_model_server
from exporter.proof.replay import Checked, replay
from exporter.settings import Settings
from protocol.blocking import BlockingClient
from protocol.models import ModelSpec

_STAGED_VERSION = 1


def golden_answers(
    signatures: Signatures,
    files: Sequence[GoldenFile],
    pixels: npt.NDArray[np.uint8],
    scorer: Scorer,
) -> Goldens:
    """The source's answers to the golden pixels, and the graph's to the golden files."""
    decode = tf.function(signatures.decode, autograph=False)
    encoded = decode(tf.constant([file.data for file in files]))
    return Goldens(
        files=tuple(file.data for file in files),
        pixels=pixels,
        probabilities=scorer.reference(pixels),
        encoded_probabilities=_probabilities(signatures, encoded),
    )


def require_parity(
    goldens: Goldens, signatures: Signatures, bound: float, precision: str = "float32"
) -> Parity:
    """Hold the exported graph against its source on the same pixels.

    Args:
        goldens: the source's answers.
        signatures: the graph.
        bound: the largest difference of a probability.
        precision: of the source, for the message.

    Raises:
        RefusedError: NaN, or a probability is further off than the bound.
    """
    probabilities = _probabilities(signatures, tf.constant(goldens.pixels))
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
            f"(allowed: {bound:.2g}, it computes in {precision}); check --preprocess, or state a "
            "wider --parity-bound"
        )
    return parity


def prove(base_path: Path, goldens: Goldens, card: ModelCard, settings: Settings) -> list[Checked]:
    """Load the staged version in a model server, ask every signature over gRPC and REST.

    Raises:
        RefusedError: it does not load, does not answer, or answers something else.
        FailedError: there is no working model server.
    """
    assert card.parity is not None  # noqa: S101 - set a few lines before, for the type checker
    spec = ModelSpec(card.model_name, _STAGED_VERSION)
    checked: list[Checked] = []
    with running_model_server(
        command_of(settings.model_server),
        base_path,
        card.model_name,
        start_timeout_seconds=settings.model_server_start_timeout_seconds,
    ) as endpoints:
        for url in (endpoints.grpc_url, endpoints.rest_url):
            with BlockingClient(url, timeout_seconds=settings.request_timeout_seconds) as client:
                try:
                    checked += replay(client, spec, goldens, card, card.parity.bound)
                except FailedError as error:
                    # AVAILABLE and yet failing: exactly what must never be published.
                    raise RefusedError(f"the model server loads it but fails: {error}") from error
    return checked


def _probabilities(signatures: Signatures, images: tf.Tensor) -> npt.NDArray[np.float32]:
    # One function for both kinds of goldens: optimising a frozen graph takes seconds each time.
    answer = signatures.functions[names.SERVING_DEFAULT](images)
    return np.asarray(answer[names.PROBABILITIES])


def _difference(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    if one.shape != other.shape:
        raise RefusedError(f"the exported graph answers {one.shape}, its source {other.shape}")
    difference = float(np.abs(one - other).max())
    if not np.isfinite(difference):
        raise RefusedError("NaN among the probabilities; look at the weights and --preprocess")
    return difference


def _agreement(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())
