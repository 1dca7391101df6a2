"""One version taken apart, for `inspect`: card, signatures, files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

from exporter import manifest
from exporter.errors import FailedError

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.inventory import PublishedVersion


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
        "bytes": found.size_bytes,
        "card": found.card.model_dump(mode="json") if found.card else None,
        "signatures": signatures(found.path),
        "files": manifest.read(found.path) if is_ours else None,
        "changes": manifest.differences(found.path) if is_ours else None,
    }


def signatures(version: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Inputs and outputs of each signature as text, for example `uint8 [-1,224,224,3]`.

    Raises:
        FailedError: there is no readable saved_model.pb.
    """
    content = saved_model_pb2.SavedModel()
    try:
        content.ParseFromString((version / "saved_model.pb").read_bytes())
    except (OSError, DecodeError) as error:
        raise FailedError(f"{version}: no readable saved_model.pb in it") from error
    graph = next(iter(content.meta_graphs), None)
    if graph is None:
        return {}
    return {
        name: {"inputs": _tensors(definition.inputs), "outputs": _tensors(definition.outputs)}
        for name, definition in sorted(graph.signature_def.items())
        if not name.startswith("__")
    }


def _tensors(infos: Any) -> dict[str, str]:
    return {name: _tensor(info) for name, info in sorted(infos.items())}


def _tensor(info: Any) -> str:
    kind = types_pb2.DataType.Name(info.dtype).removeprefix("DT_").lower()
    if info.tensor_shape.unknown_rank:
        return f"{kind} [?]"
    return f"{kind} [{','.join(str(each.size) for each in info.tensor_shape.dim)}]"
