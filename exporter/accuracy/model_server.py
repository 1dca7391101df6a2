"""A served version as an answerer: asked over gRPC or REST by `top_k_raw`.

Also starts a model server for a version on disk, as the gate does: a temporary base path with a
link to the one version, so that nothing else is loaded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from contract import signatures as names
from contract.card import ClassInfo, ModelCard
from contract.pixels import decode
from exporter.accuracy.answers import Answers
from exporter.errors import FailedError
from exporter.proof.model_server_process import command_of, running_model_server
from exporter.settings import Settings
from exporter.store.inventory import PublishedVersion
from protocol.blocking import BlockingClient
from protocol.client import ProtocolError
from protocol.models import ModelSpec


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """One version on a model server."""

    client: BlockingClient
    spec: ModelSpec
    card: ModelCard

    @property
    def name(self) -> str:
        """Model and version."""
        return f"{self.spec.name} version {self.spec.version}"

    @property
    def classes(self) -> Sequence[ClassInfo]:
        """As the version's own card says."""
        return self.card.classes

    @property
    def picture_bytes(self) -> int:
        """Of the pixels."""
        return self.card.image.height * self.card.image.width * 3

    def prepare(self, data: bytes) -> bytes:
        """Decode as the gateway does."""
        return decode(data, self.card.image).tobytes()

    def answer(self, prepared: Sequence[bytes]) -> Answers:
        """Ask for one batch.

        Raises:
            FailedError: no answer.
        """
        pixels = np.empty(len(prepared), dtype=object)
        pixels[:] = prepared
        spec = replace(self.spec, signature_name=names.TOP_K_RAW)
        try:
            outputs = self.client.predict(spec, names.PIXELS, pixels).outputs
            return Answers(
                outputs[names.CLASS_INDICES].astype(np.int32),
                outputs[names.PROBABILITIES].astype(np.float32),
            )
        except (ProtocolError, KeyError) as error:
            raise FailedError(f"{self.name} does not classify: {error}") from error


@contextmanager
def served(found: PublishedVersion, settings: Settings) -> Iterator[ServedVersion]:
    """Serve a version on disk for as long as the block runs.

    Raises:
        FailedError: it has no card, or no model server starts.
        RefusedError: the model server refuses the version.
    """
    if found.card is None:
        raise FailedError(f"{found.path}: no model card in it; export it again")
    with tempfile.TemporaryDirectory(prefix="evaluate-") as folder:
        (Path(folder) / str(found.version)).symlink_to(found.path.resolve())
        with (
            running_model_server(
                command_of(settings.model_server),
                Path(folder),
                found.model_name,
                start_timeout_seconds=settings.model_server_start_timeout_seconds,
            ) as endpoints,
            BlockingClient(
                endpoints.grpc_url, timeout_seconds=settings.request_timeout_seconds
            ) as client,
        ):
            yield ServedVersion(client, ModelSpec(found.model_name, found.version), found.card)


def ask_for(client: BlockingClient, model_name: str, version: int | None) -> ServedVersion:
    """The version that a running model server serves; None: its highest available one.

    Raises:
        FailedError: it does not answer, or the model has no card.
    """
    try:
        spec = ModelSpec(model_name, version)
        spec = replace(spec, version=client.metadata(spec).version)
        asked = replace(spec, signature_name=names.MODEL_CARD)
        outputs = client.predict(asked, names.QUERY, np.zeros(1, dtype=np.int32)).outputs
        card = ModelCard.model_validate_json(outputs.get(names.CARD, outputs.get(""))[0])  # type: ignore[index]  # None is a TypeError, below
    except ProtocolError as error:
        raise FailedError(f"{model_name}: {error}") from error
    except (ValidationError, TypeError, IndexError) as error:
        raise FailedError(
            f"{model_name}: its model card cannot be read; was it exported by us?"
        ) from error
    return ServedVersion(client, spec, card)
