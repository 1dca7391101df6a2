"""What a version has for OpenVINO, beside its SavedModel, which TensorFlow Serving passes over.

assets.extra/openvino/model.xml, model.bin   pixels to probabilities, weights in float32
assets.extra/openvino/int8.xml, int8.bin     the same, quantised; with --precision int8
assets.extra/openvino/signatures.pb          SignatureDefMap: names, types and shapes
assets.extra/openvino/engine.json            what was proven, and what `model_card` answers
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contract.card import EngineProof

FOLDER: Final = Path("assets.extra") / "openvino"
MODEL: Final = "model.xml"
INT8_MODEL: Final = "int8.xml"
SIGNATURES: Final = "signatures.pb"
ENGINE: Final = "engine.json"
_SCHEMA_VERSION: Final = 1


def model_file(version_path: Path, precision: str) -> Path:
    """The IR that a precision is computed from."""
    return version_path / FOLDER / (INT8_MODEL if precision == "int8" else MODEL)


def write_engine(
    version_path: Path, proofs: Sequence[EngineProof], openvino: str, card_text: str
) -> None:
    """Say what may be served.

    Args:
        version_path: the staged version's folder.
        proofs: of the precisions that may be.
        openvino: the version that it was proven with.
        card_text: what the graph's `model_card` answers, to the byte.
    """
    content = {
        "schema_version": _SCHEMA_VERSION,
        "openvino": openvino,
        "precisions": [proof.precision for proof in proofs],
        "card": card_text,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (version_path / FOLDER / ENGINE).write_text(text + "\n", encoding="utf-8")


def remove(version_path: Path) -> None:
    """Take all of it out of a staged version."""
    shutil.rmtree(version_path / FOLDER, ignore_errors=True)


def keep_only(version_path: Path, precisions: Sequence[str]) -> None:
    """Take the weights of other precisions out of it."""
    if "int8" not in precisions:
        for suffix in (".xml", ".bin"):
            model_file(version_path, "int8").with_suffix(suffix).unlink(missing_ok=True)
