"""The status and metadata of a model as JSON: the two answers that are protobuf messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from serving.core.manager import VersionState
    from serving.inference import Metadata


def status_body(states: Sequence[VersionState]) -> bytes:
    """A GetModelStatusResponse."""
    statuses = [
        {
            "version": str(state.version),
            "state": state.state.name,
            "status": {"error_code": state.code.name, "error_message": state.message},
        }
        for state in states
    ]
    return json.dumps({"model_version_status": statuses}, indent=1).encode() + b"\n"


def metadata_body(metadata: Metadata) -> bytes:
    """A GetModelMetadataResponse with its signatures unpacked."""
    spec = model_pb2.ModelSpec(name=metadata.spec.name)
    if metadata.spec.version is not None:
        spec.version.value = metadata.spec.version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in metadata.signature_defs.items():
        signatures.signature_def[name].ParseFromString(definition)
    return (
        f'{{\n"model_spec":{_json(spec)}\n,\n'
        f'"metadata": {{"signature_def": {_json(signatures)}\n}}\n}}\n'
    ).encode()


def _json(message: Message) -> str:
    return json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=1,
    )
