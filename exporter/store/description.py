"""One version taken apart, for `inspect`: card, signatures, files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from exporter.errors import FailedError
from exporter.store import manifest
from exporter.store.inventory import PublishedVersion
from protocol.messages import model_pb2
from protocol.models import TensorSpec
from protocol.wire import read_signature


def describe(found: PublishedVersion) -> dict[str, Any]:
    """Everything that the files say, ready for JSON.

    Raises:
        FailedError: the SavedModel cannot be read.
    """
    is_ours = (found.path / manifest.FILE).is_file()
    return {
        "model": found.model_name,
        "version": found.version,
        "path": str(found.path),
        "size_bytes": found.size_bytes,
        "card": found.card.model_dump(mode="json") if found.card else None,
        "signatures": _signatures(found.path),
        "files": _files(found.path) if is_ours else None,
        "changes": manifest.differences(found.path) if is_ours else None,
    }


def _files(version: Path) -> dict[str, dict[str, Any]]:
    return {
        name: {"sha256": entry["sha256"], "size_bytes": entry["bytes"]}
        for name, entry in manifest.read(version).items()
    }


def _signatures(version: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Inputs and outputs of each signature as text, for example `uint8 [-1,224,224,3]`.

    Raises:
        FailedError: there is no readable saved_model.pb.
    """
    try:
        content = model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
        definitions = content.meta_graphs[0].signature_def if content.meta_graphs else {}
        signatures = {name: read_signature(each) for name, each in definitions.items()}
    except (OSError, DecodeError, ValueError) as error:
        raise FailedError(f"{version}: no readable saved_model.pb in it") from error
    return {
        name: {"inputs": _describe(signature.inputs), "outputs": _describe(signature.outputs)}
        for name, signature in sorted(signatures.items())
        if not name.startswith("__")
    }


def _describe(tensors: Mapping[str, TensorSpec]) -> dict[str, str]:
    return {name: _as_text(spec) for name, spec in tensors.items()}


def _as_text(spec: TensorSpec) -> str:
    shape = "?" if spec.shape is None else ",".join(map(str, spec.shape))
    return f"{spec.dtype.removeprefix('DT_').lower()} [{shape}]"
