"""From the answer of the signature `model_card` to the model card that a version has."""

from __future__ import annotations

from collections.abc import Mapping

from app.errors import ModelServerError
from contract import signatures
from contract.card import ModelCard
from protocol.client import Array


def read_card(outputs: Mapping[str, Array]) -> ModelCard:
    """The card in the outputs: strings of shape [1], JSON in UTF-8.

    Raises:
        ModelServerError: it is none.
    """
    try:
        text: bytes = outputs[signatures.CARD][0]
        return ModelCard.model_validate_json(text)
    except (LookupError, TypeError, ValueError) as error:  # pydantic's is a ValueError
        raise ModelServerError("the model card cannot be read", reason=str(error)) from error
