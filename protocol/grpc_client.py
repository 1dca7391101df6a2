"""One model server over gRPC. The RPC paths are strings: no generated stubs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from protocol.client import AnswerError, CallError, Headers, Input, Prediction
from protocol.codes import Code
from protocol.connection_count import ConnectionCount
from protocol.messages import inference_pb2, model_pb2
from protocol.models import Metadata, ModelSpec, VersionStatus
from protocol.predict_request import predict_request
from protocol.rows import RowEncoding
from protocol.tensors import array_from_proto
from protocol.tls import Tls
from protocol.wire import SIGNATURE_DEF, read_signatures, read_statuses, write_model_spec

_MessageT = TypeVar("_MessageT", bound=Message)

PREDICTION_SERVICE: Final = "/tensorflow.serving.PredictionService/"
MODEL_SERVICE: Final = "/tensorflow.serving.ModelService/"

_MAX_ANSWER_BYTES: Final = 16 << 20
"""128 rows of 1000 scores are 0.5 MB, of 21,000 scores 11 MB; a card of 21,000 classes is 2 MB. To
parse it holds up the event loop, so it is no larger than needed."""
_MAX_ROW_ELEMENTS: Final = 1 << 18
"""Of one output. For whom asks about one row, to read more would hold up the event loop, too."""
_TOO_LARGE: Final = "message larger than max"
"""How gRPC ends a RESOURCE_EXHAUSTED that says nothing of the model server's resources."""

_CHANNEL_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
    # Nothing compressed is asked for, nor unpacked: a few bytes would be gigabytes.
    ("grpc.compression_enabled_algorithms_bitset", 1),
    ("grpc.per_message_decompression", 0),
    # A restarted model server must be found again within seconds, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.enable_retries", 0),  # callers retry, under a budget
    ("grpc.enable_http_proxy", 0),  # the model server is a neighbour, not the internet
    ("grpc.use_local_subchannel_pool", 1),
)


class GrpcClient:
    """A connection to one `host:port`; implements `Client`. Made in the event loop that uses it."""

    reports_version = True
    prefers_strings = False
    row_encoding: RowEncoding = "content"

    def __init__(self, address: str, tls: Tls | None = None) -> None:
        self._channel = _channel(address, tls)
        self._count: ConnectionCount | None = None
        self._predict = self._channel.unary_unary(
            f"{PREDICTION_SERVICE}Predict",
            request_serializer=bytes,  # which it is already: nothing is copied
            response_deserializer=bytes,
        )
        self._metadata = self._channel.unary_unary(
            f"{PREDICTION_SERVICE}GetModelMetadata",
            request_serializer=model_pb2.GetModelMetadataRequest.SerializeToString,
            response_deserializer=bytes,
        )
        self._status = self._channel.unary_unary(
            f"{MODEL_SERVICE}GetModelStatus",
            request_serializer=model_pb2.GetModelStatusRequest.SerializeToString,
            response_deserializer=bytes,
        )

    @property
    def connections(self) -> int:
        """See `Client.connections`; counted only for those who ask, for that takes a task."""
        if self._count is None:
            self._count = ConnectionCount(self._channel)
        return self._count.connections

    async def predict(
        self,
        spec: ModelSpec,
        tensor: Input,
        *,
        outputs: Sequence[str] = (),
        timeout_seconds: float,
        headers: Headers = (),
    ) -> Prediction:
        """See `Client.predict`."""
        request = predict_request(spec, tensor, outputs)
        call = partial(self._predict, request, timeout=timeout_seconds, metadata=headers)
        response = await _answer(call, inference_pb2.PredictResponse())
        version = _version(response.model_spec, spec)
        try:
            most = _MAX_ROW_ELEMENTS * max(1, len(tensor.rows))
            arrays = {
                name: array_from_proto(proto, max_filled_bytes=0, max_elements=most)
                for name, proto in response.outputs.items()
                if not outputs or name in outputs
            }
        except ValueError as error:
            raise AnswerError(f"an output is no tensor: {error}") from error
        return Prediction(version, arrays)

    async def metadata(self, spec: ModelSpec, *, timeout_seconds: float) -> Metadata:
        """See `Client.metadata`."""
        request = model_pb2.GetModelMetadataRequest(metadata_field=[SIGNATURE_DEF])
        write_model_spec(spec, request.model_spec)
        call = partial(self._metadata, request, timeout=timeout_seconds)
        response = await _answer(call, model_pb2.GetModelMetadataResponse())
        version = _version(response.model_spec, spec)
        try:
            # The payload of the Any is a SignatureDefMap, whatever package its type URL names.
            payload = response.metadata[SIGNATURE_DEF].value
            signatures = read_signatures(model_pb2.SignatureDefMap.FromString(payload))
        except DecodeError as error:
            raise AnswerError(f"the metadata hold no signatures: {error}") from error
        return Metadata(spec.name, version, signatures)

    async def statuses(self, name: str, *, timeout_seconds: float) -> list[VersionStatus]:
        """See `Client.statuses`."""
        request = model_pb2.GetModelStatusRequest()
        request.model_spec.name = name
        call = partial(self._status, request, timeout=timeout_seconds)
        return read_statuses(await _answer(call, model_pb2.GetModelStatusResponse()))

    async def aclose(self) -> None:
        """Close the channel; RPCs in flight end as cancelled."""
        await self._channel.close(None)
        if self._count is not None:
            await self._count.finish()


def _channel(address: str, tls: Tls | None) -> grpc.aio.Channel:
    if tls is None:
        return grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
    credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
    name = [("grpc.ssl_target_name_override", tls.server_name)] if tls.server_name else []
    return grpc.aio.secure_channel(address, credentials, options=[*_CHANNEL_OPTIONS, *name])


async def _answer(call: Callable[[], Awaitable[Any]], message: _MessageT) -> _MessageT:
    """Fill an empty message with the response of an RPC; its status as our error.

    gRPC itself is not told how to parse: of its errors nobody could tell whose fault they are.
    """
    try:
        content = await call()
        message.ParseFromString(content)
    except DecodeError as error:
        raise AnswerError("the answer is no message of its kind") from error
    except grpc.aio.AioRpcError as error:
        details = error.details() or ""
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in details:
            raise AnswerError(details) from error
        raise CallError(Code[error.code().name], details) from error
    except grpc.aio.UsageError as error:  # a call of a channel that is closed by now
        raise CallError(Code.UNAVAILABLE, str(error)) from error
    return message


def _version(answered: model_pb2.ModelSpec, asked: ModelSpec) -> int:
    """Which version an answer is of.

    Raises:
        AnswerError: none that there is, or another one than was asked for.
    """
    version = answered.version.value
    if not answered.HasField("version") or version < 0:
        raise AnswerError("the answer does not say which version it is of")
    if asked.version is not None and asked.version != version:
        raise AnswerError(f"version {version} answers for version {asked.version}")
    return version
