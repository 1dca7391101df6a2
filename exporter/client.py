"""Two ways to ask a model server, behind one seam: arrays in, arrays out."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit

import grpc
import httpx
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from exporter.errors import FailedError, UsageError, first_line

if TYPE_CHECKING:
    from types import TracebackType

Arrays = dict[str, npt.NDArray[Any]]

# The largest goldens batch of a 600-pixel network is some 35 MB; gRPC's default is 4 MB.
_MAX_MESSAGE_BYTES = 512 * 1024 * 1024


class Client(Protocol):
    """One model on one model server."""

    protocol: str
    """For messages: gRPC or REST."""

    def predict(self, signature: str, name: str, value: npt.NDArray[Any]) -> Arrays:
        """Send one input to a signature; outputs by name, strings as bytes.

        Raises:
            FailedError: the model server refused or did not answer.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def connect(url: str, model_name: str, version: int | None, timeout_seconds: float) -> Client:
    """A client for `grpc://host:8500` or `http://host:8501`; version None: the served one.

    Raises:
        UsageError: the URL is neither.
    """
    parts = urlsplit(url)
    if parts.scheme == "grpc" and parts.netloc:
        return GrpcClient(parts.netloc, model_name, version, timeout_seconds)
    if parts.scheme in {"http", "https"} and parts.netloc:
        return RestClient(url.rstrip("/"), model_name, version, timeout_seconds)
    raise UsageError(f"{url}: write grpc://host:8500 or http://host:8501")


class _Closing:
    """Closes on leaving a with block."""

    def close(self) -> None:
        raise AssertionError  # both clients below have their own

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class GrpcClient(_Closing):
    """Asks `PredictionService.Predict`."""

    protocol = "gRPC"

    def __init__(
        self, address: str, model_name: str, version: int | None, timeout_seconds: float
    ) -> None:
        options = [
            ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.enable_http_proxy", 0),
        ]
        self._channel = grpc.insecure_channel(address, options=options)
        self._stub: Any = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model_name = model_name
        self._version = version
        self._timeout_seconds = timeout_seconds

    def predict(self, signature: str, name: str, value: npt.NDArray[Any]) -> Arrays:
        """See `Client.predict`."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._model_name
        request.model_spec.signature_name = signature
        if self._version is not None:
            request.model_spec.version.value = self._version
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        try:
            response = self._stub.Predict(request, timeout=self._timeout_seconds)
        except grpc.RpcError as error:
            status: Any = error  # a failed call is also its own status; the stubs do not say so
            raise FailedError(
                f"signature {signature} over gRPC: {status.code().name}: {status.details()}"
            ) from error
        return {key: tf.make_ndarray(proto) for key, proto in response.outputs.items()}

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


class RestClient(_Closing):
    """Asks `POST /v1/models/NAME:predict` in columnar form."""

    protocol = "REST"

    def __init__(
        self, url: str, model_name: str, version: int | None, timeout_seconds: float
    ) -> None:
        pinned = "" if version is None else f"/versions/{version}"
        self._url = f"{url}/v1/models/{model_name}{pinned}:predict"
        self._client = httpx.Client(timeout=timeout_seconds, trust_env=False)

    def predict(self, signature: str, name: str, value: npt.NDArray[Any]) -> Arrays:
        """See `Client.predict`."""
        body = {"signature_name": signature, "inputs": {name: _to_json(value)}}
        try:
            answer = self._client.post(self._url, json=body)
            content = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise FailedError(f"signature {signature} over REST: {first_line(error)}") from error
        if answer.is_error or "outputs" not in content:
            reason = content.get("error", content)
            raise FailedError(f"signature {signature} over REST: {answer.status_code}: {reason}")
        outputs = content["outputs"]
        # A single output comes without its name.
        named = outputs if isinstance(outputs, dict) else {"": outputs}
        return {key: _from_json(column) for key, column in named.items()}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _to_json(value: npt.NDArray[Any]) -> Any:
    if value.dtype == object:
        return [{"b64": base64.b64encode(item).decode()} for item in value]
    return value.tolist()


def _from_json(column: Any) -> npt.NDArray[Any]:
    array = np.asarray(column)
    if array.dtype.kind == "U":
        return np.char.encode(array, "utf-8").astype(object)
    return array
