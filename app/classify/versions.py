"""Versions of models as they are asked: loaded from one model server, the same for all of them.

What makes a version is not its number alone: whoever removes version 2 may publish another version
2, and a model server that is started anew may serve another model under the same number. Its card,
which says when it was exported, tells them apart.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.classify.cards import read_card
from app.classify.image_signature import (
    CARD_QUESTION,
    ImageSignature,
    exported_signature,
    foreign_signature,
)
from app.model_server.replica import Replica
from app.models_file import ModelSettings
from contract import signatures
from contract.card import ModelCard
from protocol.models import Metadata, ModelSpec
from protocol.rows import ENCODERS, RowEncoding

LOOKUP_SECONDS: Final = 5.0
"""Lookups are shared by all who wait for them, so they have a deadline of their own."""
_MAX_VERSIONS: Final = 64
"""Kept; an ImageNet card is 100 kB of labels."""
_QUERY: Final = np.zeros((), np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class ModelVersion:
    """One version of one model, ready to be asked; one object, whoever serves it."""

    name: str
    version: int
    signature: ImageSignature
    card: ModelCard | None
    """None when the SavedModel did not come from our exporter."""


class Versions:
    """Reads versions; those that are the same become one, as long as they are remembered."""

    def __init__(
        self,
        settings: Mapping[str, ModelSettings],
        *,
        row_encoding: RowEncoding,
        prefers_strings: bool,
    ) -> None:
        """Create it.

        Args:
            settings: of SavedModels that our exporter did not write, by model.
            row_encoding: how rows are sent.
            prefers_strings: whether pixels are sent as strings.
        """
        self._settings = settings
        self._query = ENCODERS[row_encoding](_QUERY)
        self._prefers_strings = prefers_strings
        self._known: OrderedDict[tuple[str, int, bytes], ModelVersion] = OrderedDict()

    async def read(self, replica: Replica, metadata: Metadata) -> ModelVersion:
        """The version that the replica has just said these metadata of, as it has it now.

        Raises:
            ModelError: it does not serve it, or it is no image classifier.
            ModelServerError: it does not answer, or nonsense.
        """
        name, number = metadata.name, metadata.version
        if signatures.MODEL_CARD not in metadata.signatures:
            return self._foreign(metadata)
        spec = ModelSpec(name, version=number)
        answer = await CARD_QUESTION.ask(
            replica, spec, (self._query,), timeout_seconds=LOOKUP_SECONDS
        )
        card = read_card(answer.outputs)
        key = (name, number, hashlib.sha256(card.model_dump_json().encode()).digest())
        if (known := self._remembered(key)) is not None:
            return known
        signature = exported_signature(card, as_strings=self._prefers_strings)
        return self._remember(key, ModelVersion(name, number, signature, card))

    def forget(self, version: ModelVersion) -> None:
        """It was replaced; without a card what comes back under its number may be another one."""
        if version.card is None:
            for key in [key for key, known in self._known.items() if known is version]:
                del self._known[key]

    def _foreign(self, metadata: Metadata) -> ModelVersion:
        name, number = metadata.name, metadata.version
        signature = foreign_signature(name, metadata, self._settings.get(name))
        definition = metadata.signatures[signature.question.signature_name].definition
        key = (name, number, hashlib.sha256(definition).digest())
        known = self._remembered(key)
        return known or self._remember(key, ModelVersion(name, number, signature, None))

    def _remembered(self, key: tuple[str, int, bytes]) -> ModelVersion | None:
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
        return known

    def _remember(self, key: tuple[str, int, bytes], version: ModelVersion) -> ModelVersion:
        self._known[key] = version
        if len(self._known) > _MAX_VERSIONS:
            self._known.popitem(last=False)
        return version
