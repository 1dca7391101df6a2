"""The model card in an answer."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from app.errors import ModelServerError
from contract import signatures
from contract.card import ModelCard
from protocol.client import Array


def read_card(outputs: Mapping[str, Array]) -> ModelCard:
    """The card."""
    try:
        return ModelCard.model_validate_json(outputs[signatures.CARD][0])
    except (ValidationError, KeyError, IndexError, TypeError) as error:
        raise ModelServerError("the model card cannot be read") from error
