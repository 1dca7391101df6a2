"""What a version's directory has for this engine, read without TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError
from pydantic import ValidationError

from contract import signatures as names
from contract.card import ModelCard
from protocol.codes import Code
from protocol.messages import model_pb2
from protocol.models import SignatureSpec
from protocol.wire import read_signature
from serving.core.errors import ServingError, invalid_argument
from serving.engine import no_such_tags, require_saved_model

FOLDER: Final = Path("assets.extra", "openvino")
PROVEN_FILE: Final = "engine.json"
_SIGNATURES_FILE: Final = "signatures.pb"
_CARD_FILE: Final = Path("assets.extra", "model_card.json")
_SCHEMA_VERSION: Final = 1
_IR_FILES: Final = {"f32": "model.xml", "bf16": "model.xml", "int8": "int8.xml"}


@dataclass(frozen=True, slots=True)
class VersionFiles:
    """A version, as far as it can be told from its files."""

    path: Path
    signatures: Mapping[str, SignatureSpec]
    card_json: str | None
    """What `model_card` answers; None: not a version of our exporter's."""
    precisions: tuple[str, ...]
    """In which the gate has proven it; empty: there is no IR beside it."""

    @property
    def card(self) -> ModelCard | None:
        """The card, read."""
        return ModelCard.model_validate_json(self.card_json) if self.card_json else None

    def ir(self, precision: str) -> Path:
        """Where the IR for a precision lies."""
        return self.path / FOLDER / _IR_FILES[precision]


def read(path: str, tags: frozenset[str]) -> VersionFiles:
    """Read what is beside a SavedModel, or failing that the SavedModel's own signatures.

    Raises:
        ServingError: NOT_FOUND without a SavedModel or its tags, DATA_LOSS for damaged files.
    """
    require_saved_model(path)
    folder = Path(path)
    try:
        if (folder / FOLDER / PROVEN_FILE).is_file():
            return _proven(folder)
        signatures = _own_signatures(folder, tags)
        return VersionFiles(folder, signatures, _card_json(folder, signatures), ())
    except (OSError, ValueError, KeyError, TypeError, DecodeError) as error:
        raise ServingError(Code.DATA_LOSS, f"{path} cannot be read: {error}") from error


def _proven(folder: Path) -> VersionFiles:
    content = json.loads((folder / FOLDER / PROVEN_FILE).read_text(encoding="utf-8"))
    if content["schema_version"] != _SCHEMA_VERSION:
        raise ValueError(f"{PROVEN_FILE} has schema version {content['schema_version']}")
    content_of_signatures = (folder / FOLDER / _SIGNATURES_FILE).read_bytes()
    signatures = _specs(model_pb2.SignatureDefMap.FromString(content_of_signatures).signature_def)
    precisions = tuple(each for each in content["precisions"] if each in _IR_FILES)
    if not precisions:
        raise ValueError(f"{PROVEN_FILE} names no precision that is known here")
    return VersionFiles(folder, signatures, str(content["card"]), precisions)


def _own_signatures(folder: Path, tags: frozenset[str]) -> dict[str, SignatureSpec]:
    file = folder / "saved_model.pb"
    if not file.is_file():
        raise invalid_argument(
            "the engine openvino reads no saved_model.pbtxt; it takes saved_model.pb"
        )
    saved = model_pb2.SavedModel.FromString(file.read_bytes())
    for graph in saved.meta_graphs:
        if frozenset(graph.meta_info_def.tags) == tags:
            return _specs(graph.signature_def)
    raise no_such_tags(tags)


def _specs(definitions: Mapping[str, model_pb2.SignatureDef]) -> dict[str, SignatureSpec]:
    return {name: read_signature(definition) for name, definition in definitions.items()}


def _card_json(folder: Path, signatures: Mapping[str, SignatureSpec]) -> str | None:
    """Of a version of ours that was exported without an IR."""
    if not set(names.SIGNATURE_NAMES) <= signatures.keys():
        return None
    try:
        card = ModelCard.model_validate_json((folder / _CARD_FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    return card.model_dump_json()
