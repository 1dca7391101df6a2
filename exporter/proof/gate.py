"""What a staged version must do to become visible: answer as its source, on a real model server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contract import signatures as names
from contract.card import EngineProof, ModelCard
from exporter.errors import FailedError, RefusedError
from exporter.proof.goldens import Goldens
from exporter.proof.lines import GateLine
from exporter.proof.model_server_process import (
    command_of,
    embedded_command,
    running_model_server,
)
from exporter.proof.replay import Checked, replay
from exporter.proof.wrong_shapes import require_refusals
from exporter.settings import Settings
from protocol.blocking import BlockingClient
from protocol.client import ProtocolError
from protocol.models import ModelSpec

Then = Callable[[BlockingClient, ModelSpec], None]

STEP: Final = "model server"
_STAGED_VERSION: Final = 1
_ONE_SERVER_BYTES: Final = 64_000_000
_ALL: Final = (names.SIGNATURE_NAMES,)
# `top_k` is what warmup prepares, so it is asked of the server that was warmed up.
_ONE_BY_ONE: Final = (
    (names.TOP_K, names.MODEL_CARD),
    (names.SERVING_DEFAULT,),
    (names.TOP_K_RAW,),
    (names.TOP_K_ENCODED,),
)


def prove(
    base_path: Path,
    goldens: Goldens,
    card: ModelCard,
    settings: Settings,
    *,
    then: Then | None = None,
) -> list[Checked]:
    """Load the staged version in a model server, ask every signature over gRPC and REST.

    A model server keeps its own optimised copy of a frozen graph for each signature that runs, so
    large graphs are asked one signature at a time, each of a fresh server.

    Args:
        base_path: the staging folder.
        goldens: what to ask, and the answers.
        card: the version's own.
        settings: which model server, and timeouts.
        then: what else to ask, over gRPC, once the answers of the warmed-up server were right.

    Raises:
        RefusedError: it does not load, does not answer, or answers something else.
        FailedError: there is no working model server.
    """
    graph_bytes = (base_path / str(_STAGED_VERSION) / "saved_model.pb").stat().st_size
    rounds = _ALL if graph_bytes <= _ONE_SERVER_BYTES else _ONE_BY_ONE
    assert card.parity is not None  # noqa: S101 - the build has set it; for the type checker
    spec = ModelSpec(card.model_name, _STAGED_VERSION)
    asked = _Question(spec, goldens, card, card.parity.bound)
    checked: list[Checked] = []
    for number, signatures in enumerate(rounds):
        with running_model_server(
            command_of(settings.model_server),
            base_path,
            card.model_name,
            start_timeout_seconds=settings.model_server_start_timeout_seconds,
            is_warmed_up=number == 0,
        ) as endpoints:
            for url in (endpoints.grpc_url, endpoints.rest_url):
                also = then if number == 0 and url == endpoints.grpc_url else None
                checked += _ask(url, signatures, asked, settings, also)
    return checked


def prove_engine(
    base_path: Path,
    goldens: Goldens,
    card: ModelCard,
    proof: EngineProof,
    settings: Settings,
    *,
    version: int = _STAGED_VERSION,
) -> list[Checked]:
    """Ask every signature of the embedded model server's other engine, in one precision.

    No other model server has it, so the configured one is not asked.

    Args:
        base_path: a folder with nothing but the version.
        goldens: what to ask, and the answers.
        card: the version's own, as its graph and `engine.json` tell it.
        proof: engine, precision and bound.
        settings: timeouts.
        version: its number.

    Raises:
        RefusedError: it does not load, does not answer, or answers something else.
        FailedError: the model server does not start.
    """
    command = [
        *embedded_command(),
        "--engine=openvino",
        f"--openvino_precision={proof.precision}",
        "--openvino_cache_dir=none",  # what is staged is compiled once
    ]
    spec = ModelSpec(card.model_name, version)
    asked = _Question(spec, goldens, card, proof.bound, encoded_bound(card, proof))
    checked: list[Checked] = []
    with running_model_server(
        command,
        base_path,
        card.model_name,
        start_timeout_seconds=settings.model_server_start_timeout_seconds,
    ) as endpoints:
        for url in (endpoints.grpc_url, endpoints.rest_url):
            checked += _ask(url, names.SIGNATURE_NAMES, asked, settings)
    return checked


def lines(checked: Sequence[Checked], card: ModelCard) -> Iterator[GateLine]:
    """What was found, for people."""
    if checked and card.parity:
        protocols = " and ".join(dict.fromkeys(check.protocol for check in checked))
        worst = max(check.max_abs_difference for check in checked)
        yield GateLine(
            step=STEP,
            found=f"every signature over {protocols}, {worst:.1e} from the golden answers at most; "
            "inputs of other shapes are refused",
            bound=f"{card.parity.bound:g}",
        )


def encoded_bound(card: ModelCard, proof: EngineProof) -> float:
    """Of files: another engine does not run the graph's own decoders, which made the answers."""
    own = card.parity.encoded_bound if card.parity else None
    return max(proof.bound, own or 0.0)


@dataclass(frozen=True, slots=True)
class _Question:
    """A version, and how far its answers may be off."""

    spec: ModelSpec
    goldens: Goldens
    card: ModelCard
    bound: float
    encoded_bound: float | None = None


def _ask(
    url: str,
    signatures: Iterable[str],
    asked: _Question,
    settings: Settings,
    then: Then | None = None,
) -> list[Checked]:
    with BlockingClient(url, timeout_seconds=settings.request_timeout_seconds) as client:
        try:
            checked = replay(
                client,
                asked.spec,
                asked.goldens,
                asked.card,
                asked.bound,
                signatures,
                encoded_bound=asked.encoded_bound,
            )
            if client.scheme == "grpc":
                require_refusals(client, asked.spec, asked.card, signatures)
            if then is not None:
                then(client, asked.spec)
        except (FailedError, ProtocolError) as error:
            # AVAILABLE and yet failing: exactly what must never be published.
            raise RefusedError(
                f"the model server loads it but fails: {error}", step=STEP
            ) from error
    return checked
