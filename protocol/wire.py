"""The values of `protocol.models` as messages, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.any_pb2 import Any as AnyMessage

from protocol.codes import Code
from protocol.messages import model_pb2, tensor_pb2
from protocol.models import ModelSpec, SignatureSpec, State, TensorSpec, VersionStatus
from protocol.tensors import array_from_proto

SIGNATURE_DEF = "signature_def"
"""The one metadata field that there is."""

# Clients unpack metadata by this name; it is TensorFlow Serving's, not our package's.
_SIGNATURE_DEF_MAP_URL = "type.googleapis.com/tensorflow.serving.SignatureDefMap"


def read_model_spec(message: model_pb2.ModelSpec) -> ModelSpec:
    """A ModelSpec message as a value."""
    choice = message.WhichOneof("version_choice")
    return ModelSpec(
        name=message.name,
        version=message.version.value if choice == "version" else None,
        version_label=message.version_label if choice == "version_label" else None,
        signature_name=message.signature_name,
    )


def write_model_spec(spec: ModelSpec, message: model_pb2.ModelSpec) -> None:
    """Fill an empty ModelSpec message."""
    message.name = spec.name
    message.signature_name = spec.signature_name
    if spec.version is not None:
        message.version.value = spec.version
        message.version.SetInParent()
    elif spec.version_label is not None:
        message.version_label = spec.version_label


def read_signature(message: model_pb2.SignatureDef, *, with_defaults: bool = True) -> SignatureSpec:
    """A SignatureDef message as a value, names in order.

    Raises:
        ValueError: a default value that is no tensor.
    """
    defaults = message.defaults if with_defaults else {}
    return SignatureSpec(
        method_name=message.method_name,
        inputs=_tensor_specs(message.inputs),
        outputs=_tensor_specs(message.outputs),
        defaults={alias: array_from_proto(value) for alias, value in defaults.items()},
        definition=message.SerializeToString(),
    )


def read_signatures(message: model_pb2.SignatureDefMap) -> dict[str, SignatureSpec]:
    """All signatures of a SignatureDefMap by name, as a server describes them.

    Defaults stay unread: no client needs them, and a few bytes could claim 64 MB each.
    """
    return {
        name: read_signature(each, with_defaults=False)
        for name, each in message.signature_def.items()
    }


def write_signatures(signatures: Mapping[str, SignatureSpec]) -> model_pb2.SignatureDefMap:
    """The definitions of signatures by name as one message."""
    message = model_pb2.SignatureDefMap()
    for name, signature in signatures.items():
        message.signature_def[name].ParseFromString(signature.definition)
    return message


def pack_signatures(signatures: model_pb2.SignatureDefMap) -> AnyMessage:
    """A SignatureDefMap as the Any that GetModelMetadata answers."""
    return AnyMessage(
        type_url=_SIGNATURE_DEF_MAP_URL, value=signatures.SerializeToString(deterministic=True)
    )


def read_statuses(message: model_pb2.GetModelStatusResponse) -> list[VersionStatus]:
    """The states of a model's versions, in the order of the message."""
    return [
        VersionStatus(
            version=each.version,
            state=State.of(each.state),
            code=Code.of(each.status.error_code),
            message=each.status.error_message,
        )
        for each in message.model_version_status
    ]


def write_statuses(statuses: Iterable[VersionStatus]) -> model_pb2.GetModelStatusResponse:
    """The answer of GetModelStatus."""
    response = model_pb2.GetModelStatusResponse()
    for status in statuses:
        message = response.model_version_status.add(
            version=status.version, state=model_pb2.ModelVersionStatus.State.ValueType(status.state)
        )
        message.status.SetInParent()
        message.status.error_code = status.code
        message.status.error_message = status.message
    return response


def _tensor_specs(infos: Mapping[str, model_pb2.TensorInfo]) -> dict[str, TensorSpec]:
    return {alias: _tensor_spec(info) for alias, info in sorted(infos.items())}


def _tensor_spec(info: model_pb2.TensorInfo) -> TensorSpec:
    names = tensor_pb2.DataType.DESCRIPTOR.values_by_number
    shape = info.tensor_shape
    return TensorSpec(
        name=info.name,
        dtype=names[info.dtype].name if info.dtype in names else str(info.dtype),
        shape=None if shape.unknown_rank else tuple(int(dim.size) for dim in shape.dim),
    )
