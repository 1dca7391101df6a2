"""One model server over gRPC. The RPC paths are strings: no generated stubs, no TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from app.errors import ModelServerError
from app.model_server.base import (
    Input,
    Metadata,
    Prediction,
    Servable,
    Signature,
    TensorSpec,
    VersionStatus,
)
from app.model_server.failures import Code, failure
from app.model_server.tensors import from_proto, to_proto
from app.model_server.wire import wire_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from app.model_server.addresses import Address

_PREDICT: Final = "/tensorflow.serving.PredictionService/Predict"
_METADATA: Final = "/tensorflow.serving.PredictionService/GetModelMetadata"
_STATUS: Final = "/tensorflow.serving.ModelService/GetModelStatus"

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A restarted model server must be found again within seconds, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 0),  # the pool retries, under a budget
    ("grpc.enable_http_proxy", 0),  # the model server is a neighbour, not the internet
    ("grpc.use_local_subchannel_pool", 1),
)


class GrpcModelServer:
    """A connection to one `host:port`; implements `ModelServer`."""

    reports_version = True
    prefers_strings = False

    def __init__(self, address: Address) -> None:
        self._channel = grpc.aio.insecure_channel(str(address), options=_CHANNEL_OPTIONS)
        self._predict = self._channel.unary_unary(
            _PREDICT,
            request_serializer=wire_pb2.PredictRequest.SerializeToString,
            response_deserializer=wire_pb2.PredictResponse.FromString,
        )
        self._metadata = self._channel.unary_unary(
            _METADATA,
            request_serializer=wire_pb2.GetModelMetadataRequest.SerializeToString,
            response_deserializer=wire_pb2.GetModelMetadataResponse.FromString,
        )
        self._status = self._channel.unary_unary(
            _STATUS,
            request_serializer=wire_pb2.GetModelStatusRequest.SerializeToString,
            response_deserializer=wire_pb2.GetModelStatusResponse.FromString,
        )

    @staticmethod
    def encode_row(row: npt.NDArray[np.generic] | bytes) -> bytes:
        """The row's memory, as tensor_content holds it."""
        return row if isinstance(row, bytes) else row.tobytes()

    async def predict(
        self,
        servable: Servable,
        signature: str,
        tensor: Input,
        *,
        outputs: Sequence[str] = (),
        timeout_seconds: float,
    ) -> Prediction:
        """See `ModelServer.predict`."""
        request = wire_pb2.PredictRequest(
            model_spec=_spec(servable, signature),
            inputs={tensor.name: to_proto(tensor)},
            output_filter=outputs,
        )
        try:
            response = await self._predict(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise _translate(error, servable) from error
        return Prediction(
            version=response.model_spec.version.value,
            outputs={name: from_proto(proto) for name, proto in response.outputs.items()},
        )

    async def metadata(self, servable: Servable, *, timeout_seconds: float) -> Metadata:
        """See `ModelServer.metadata`."""
        request = wire_pb2.GetModelMetadataRequest(
            model_spec=_spec(servable, ""), metadata_field=["signature_def"]
        )
        try:
            response = await self._metadata(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise _translate(error, servable) from error
        signatures = _unpack(response.metadata["signature_def"].value)
        return Metadata(response.model_spec.version.value, signatures)

    async def statuses(self, name: str, *, timeout_seconds: float) -> list[VersionStatus]:
        """See `ModelServer.statuses`."""
        servable = Servable(name)
        request = wire_pb2.GetModelStatusRequest(model_spec=_spec(servable, ""))
        try:
            response = await self._status(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise _translate(error, servable) from error
        return [_status(each) for each in response.model_version_status]

    async def aclose(self) -> None:
        """Close the channel; RPCs in flight end as cancelled."""
        await self._channel.close(None)


def _spec(servable: Servable, signature: str) -> wire_pb2.ModelSpec:
    spec = wire_pb2.ModelSpec(name=servable.name, signature_name=signature)
    if servable.version is not None:
        spec.version.value = servable.version
    elif servable.label is not None:
        spec.version_label = servable.label
    return spec


def _translate(error: grpc.aio.AioRpcError, servable: Servable) -> Exception:
    code = Code.__members__.get(error.code().name, Code.UNKNOWN)
    return failure(code, error.details() or "", servable)


def _status(status: wire_pb2.ModelVersionStatus) -> VersionStatus:
    code = status.status.error_code
    return VersionStatus(
        version=status.version,
        state=_name(wire_pb2.ModelVersionStatus.State, status.state),
        error_code=Code.name_of(code),
        error_message=status.status.error_message,
    )


def _unpack(value: bytes) -> dict[str, Signature]:
    """The payload of the Any: a SignatureDefMap, whatever package its type URL names."""
    try:
        message = wire_pb2.SignatureDefMap.FromString(value)
    except DecodeError as error:
        raise ModelServerError("the model server's metadata cannot be read") from error
    return {
        name: Signature(
            inputs={key: _tensor_spec(info) for key, info in signature.inputs.items()},
            outputs={key: _tensor_spec(info) for key, info in signature.outputs.items()},
        )
        for name, signature in message.signature_def.items()
    }


def _tensor_spec(info: wire_pb2.TensorInfo) -> TensorSpec:
    shape = None
    if not info.tensor_shape.unknown_rank:
        shape = tuple(int(dim.size) for dim in info.tensor_shape.dim)
    return TensorSpec(dtype=_name(wire_pb2.DataType, info.dtype), shape=shape)


def _name(enum: Any, number: int) -> str:
    """The enum value's name; a number that we do not know stays a number."""
    names: dict[int, str] = {value: key for key, value in enum.items()}
    return names.get(number, str(number))
