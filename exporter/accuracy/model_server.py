"""A served version as an answerer: asked over gRPC or REST, by `top_k_raw` or for all scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from pydantic import ValidationError

from contract import signatures as names
from contract.card import ClassInfo, ModelCard
from contract.pixels import decode
from exporter.accuracy.answers import Answers
from exporter.accuracy.in_process import most_probable
from exporter.errors import FailedError, first_line
from exporter.proof.model_server import serving
from exporter.settings import Settings
from exporter.store.inventory import PublishedVersion
from protocol.blocking import BlockingClient
from protocol.client import ProtocolError
from protocol.models import ModelSpec


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """One version on a model server."""

    client: BlockingClient
    model_name: str
    version: int
    card: ModelCard
    is_asked_for_all: bool = False
    """For the probabilities of all classes, not for the most probable only."""

    @property
    def name(self) -> str:
        """Model and version."""
        return f"{self.model_name} version {self.version}"

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
        try:
            return self._all(prepared) if self.is_asked_for_all else self._top_k(prepared)
        except (ProtocolError, KeyError) as error:
            raise FailedError(f"{self.name} does not classify: {first_line(error)}") from error

    def _top_k(self, prepared: Sequence[bytes]) -> Answers:
        pixels = np.empty(len(prepared), dtype=object)
        pixels[:] = prepared
        spec = ModelSpec(self.model_name, self.version, signature_name=names.TOP_K_RAW)
        outputs = self.client.predict(spec, names.PIXELS, pixels).outputs
        return Answers(
            outputs[names.CLASS_INDICES].astype(np.int32),
            outputs[names.PROBABILITIES].astype(np.float32),
        )

    def _all(self, prepared: Sequence[bytes]) -> Answers:
        image = self.card.image
        pixels = np.frombuffer(b"".join(prepared), np.uint8)
        pixels = pixels.reshape(len(prepared), image.height, image.width, 3)
        spec = ModelSpec(self.model_name, self.version)
        outputs = self.client.predict(spec, names.IMAGES, pixels).outputs
        # REST leaves the name of a single output out.
        rows = outputs.get(names.PROBABILITIES, outputs.get(""))
        if rows is None or rows.shape != (len(prepared), len(self.classes)):
            raise FailedError(f"{self.name}: no probabilities in its answer")
        return most_probable(rows.astype(np.float32), len(self.classes))


@contextmanager
def served(
    found: PublishedVersion, settings: Settings, *, is_asked_for_all: bool = False
) -> Iterator[ServedVersion]:
    """Serve a version on disk for as long as the block runs.

    Raises:
        FailedError: it has no card, or no model server starts.
        RefusedError: the model server refuses the version.
    """
    if found.card is None:
        raise FailedError(f"{found.path}: no model card in it; export it again")
    with serving(found, settings) as client:
        yield ServedVersion(client, found.model_name, found.version, found.card, is_asked_for_all)


def ask_for(
    client: BlockingClient, spec: ModelSpec, *, is_asked_for_all: bool = False
) -> ServedVersion:
    """The version that a running model server serves; without number or label: its highest one.

    Raises:
        FailedError: it does not answer, or the model has no card.
    """
    try:
        # By its number from here on: labels move.
        pinned = ModelSpec(spec.name, client.metadata(spec).version)
        asked = replace(pinned, signature_name=names.MODEL_CARD)
        outputs = client.predict(asked, names.QUERY, np.zeros(1, dtype=np.int32)).outputs
        card = ModelCard.model_validate_json(outputs.get(names.CARD, outputs.get(""))[0])  # type: ignore[index]  # None is a TypeError, below
    except ProtocolError as error:
        raise FailedError(f"the model server, {spec}: {first_line(error)}") from error
    except (ValidationError, TypeError, IndexError) as error:
        raise FailedError(
            f"{spec}: its model card cannot be read; was it exported by us?"
        ) from error
    return ServedVersion(client, pinned.name, int(pinned.version or 0), card, is_asked_for_all)
