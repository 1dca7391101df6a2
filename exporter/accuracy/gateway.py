"""A version behind a gateway as an answerer: it gets the files as its clients send them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from contract.card import ClassInfo, ModelCard
from contract.pixels import ImageError
from exporter.accuracy.answers import MAX_K, Answers
from exporter.errors import FailedError
from exporter.proof.gateway import Gateway, Prediction

_ROW_BYTES: Final = 8 * MAX_K

Row = Sequence[Prediction]


@dataclass(frozen=True, slots=True)
class GatewayVersion:
    """One version of one model behind a gateway."""

    gateway: Gateway
    model_name: str
    version: int
    card: ModelCard

    @property
    def name(self) -> str:
        """Model, version and where."""
        return f"{self.model_name} version {self.version} at {self.gateway.url}"

    @property
    def classes(self) -> Sequence[ClassInfo]:
        """As the version's own card says."""
        return self.card.classes

    @property
    def picture_bytes(self) -> int:
        """Of a row of answers: the gateway decodes."""
        return _ROW_BYTES

    def prepare(self, data: bytes) -> Row:
        """Send the file; its classes.

        Raises:
            ImageError: the gateway calls the file broken.
            FailedError: it does not answer, or something else.
        """
        if not data:
            raise ImageError("an empty file")  # to a gateway a request without an image
        answer = self.gateway.classify(
            data, model=self.model_name, version=self.version, top_k=self.card.k
        )
        if (found := len(answer.predictions)) != self.card.k:
            raise FailedError(f"{self.name} answers {found} classes, asked for {self.card.k}")
        return answer.predictions

    def answer(self, prepared: Sequence[Row]) -> Answers:
        """All has been answered already: put the rows together."""
        return Answers(
            np.array([[each.class_index for each in row] for row in prepared], dtype=np.int32),
            np.array([[each.probability for each in row] for row in prepared], dtype=np.float32),
        )


def ask_for(
    gateway: Gateway, model_name: str | None, version: int | None, label: str | None = None
) -> GatewayVersion:
    """The version of a model that a gateway answers for.

    Args:
        gateway: a client.
        model_name: None: its default model.
        version: None: the highest available one; it is then asked for by its number, so that a
            swap or split traffic cannot mix the answers of two versions.
        label: instead of a version.

    Raises:
        UsageError: it has no such model or version.
        FailedError: it does not answer, or the model was not exported by us.
    """
    name = model_name or gateway.default_model()
    number = version if label is None else gateway.version_of(name, label)
    return GatewayVersion(gateway, name, *gateway.card(name, number))
