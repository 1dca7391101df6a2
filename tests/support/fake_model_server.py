"""A model server over real sockets whose faults are chosen by the test; speaks gRPC.

It computes nothing: the class is the mean brightness of the pixels, so tests know the answer.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from protocol import tensors, wire
from protocol.messages import inference_pb2, model_pb2
from protocol.models import State, VersionStatus
from tests.support.garbage_kind import Garbage

PREDICTION = "tensorflow.serving.PredictionService"
MODEL = "tensorflow.serving.ModelService"


@dataclass
class FakeVersion:
    """One version: a card and the faults it has."""

    labels: list[str] = field(default_factory=lambda: [f"label-{i}" for i in range(4)])
    side: int = 8
    k: int = 3
    state: str = "AVAILABLE"
    delay_seconds: float = 0.0
    """Of each call. A server that is stopped cuts it short, so it may be as long as one likes."""
    item_seconds: float = 0.0
    """Of each image, one batch after another: a model server with one core and a known capacity."""
    fault: tuple[grpc.StatusCode, str] | None = None
    probability: float | None = None

    def card(self, name: str) -> bytes:
        card = {
            "model_name": name,
            "classes": [
                {"index": index, "label": label, "id": f"id{index}"}
                for index, label in enumerate(self.labels)
            ],
            "k": self.k,
            "image": {"height": self.side, "width": self.side},
            "source": {"kind": "keras", "name": "fake"},
            "exported_at": "2026-01-01T00:00:00Z",
        }
        return json.dumps(card).encode()


class FakeModelServer:
    """Models by name, each with versions by number; change them while it runs."""

    def __init__(self) -> None:
        self.models: dict[str, dict[int, FakeVersion]] = {}
        self.version_labels: dict[tuple[str, str], int] = {}
        self.batch_sizes: list[int] = []
        self.calls: dict[str, int] = {}
        self.deadlines: list[float] = []
        self.traceparents: list[str] = []
        self.before_predict: Callable[[], object] | None = None
        self.garbage: Garbage | None = None
        self.lock = threading.Lock()
        self.core = threading.Lock()
        self._stopped = threading.Event()
        self.port = 0
        self.socket_path = ""
        """Of a UNIX socket on which it answers as well."""
        self._server: grpc.Server | None = None

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    def start(self, *, host: str = "127.0.0.1", port: int = 0, threads: int = 16) -> None:
        self._stopped = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(threads), options=(("grpc.so_reuseport", 0),))
        self._server.add_generic_rpc_handlers(tuple(self._handlers()))
        self.port = self._server.add_insecure_port(f"{host}:{port}")
        if self.socket_path:
            self._server.add_insecure_port(f"unix:{self.socket_path}")
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            ended = self._server.stop(None)  # every call fails now, and only then
            self._stopped.set()
            ended.wait()
            self._server = None

    def pause(self, seconds: float) -> None:
        """Take so long, or until the server is stopped."""
        self._stopped.wait(seconds)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is predicted before the end of the block: calls arrive, are counted and wait."""
        released = threading.Event()
        self.before_predict = released.wait
        try:
            yield
        finally:
            self.before_predict = None
            released.set()

    def _handlers(self) -> Iterator[grpc.GenericRpcHandler]:
        def unary(method: Any, request: Any) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=request.FromString,
                response_serializer=self._serialized,
            )

        yield grpc.method_handlers_generic_handler(
            PREDICTION,
            {
                "Predict": unary(self._predict, inference_pb2.PredictRequest),
                "GetModelMetadata": unary(self._metadata, model_pb2.GetModelMetadataRequest),
            },
        )
        yield grpc.method_handlers_generic_handler(
            MODEL,
            {"GetModelStatus": unary(self._status, model_pb2.GetModelStatusRequest)},
        )

    def _serialized(self, message: Any) -> bytes:
        garbage = self.garbage
        if garbage is not None and garbage.grpc and garbage.question == _question(message):
            return garbage.grpc(message)
        return bytes(message.SerializeToString())

    def _find(
        self, spec: model_pb2.ModelSpec, context: grpc.ServicerContext
    ) -> tuple[int, FakeVersion]:
        versions = {
            number: version
            for number, version in self.models.get(spec.name, {}).items()
            if version.state == "AVAILABLE"
        }
        if spec.version_label:
            number = self.version_labels.get((spec.name, spec.version_label))
            if number is None:
                context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    f"Unrecognized servable version label: {spec.version_label}",
                )
        elif spec.HasField("version"):
            number = spec.version.value
        else:
            number = max(versions, default=None)
        if number not in versions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {spec.name}")
        return number, versions[number]

    def _count(self, what: str) -> None:
        with self.lock:
            self.calls[what] = self.calls.get(what, 0) + 1

    def _predict(
        self, request: inference_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> inference_pb2.PredictResponse:
        number, version = self._find(request.model_spec, context)
        response = inference_pb2.PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = number
        response.model_spec.signature_name = request.model_spec.signature_name
        if request.model_spec.signature_name == "model_card":
            self._count("model_card")
            card = np.array([version.card(request.model_spec.name)], np.object_)
            tensors.write_proto(card, response.outputs["card"])
            return response
        self._count("predict")
        if self.before_predict is not None:
            self.before_predict()
        images = request.inputs["images"]
        shape = [dim.size for dim in images.tensor_shape.dim]
        with self.lock:
            self.batch_sizes.append(shape[0])
            self.deadlines.append(context.time_remaining())
            metadata = dict(context.invocation_metadata())
            self.traceparents.extend(metadata[key] for key in ("traceparent",) if key in metadata)
        self.pause(version.delay_seconds)
        if version.item_seconds:
            with self.core:
                time.sleep(version.item_seconds * shape[0])
        if version.fault is not None:
            context.abort(*version.fault)
        if shape[1:] != [version.side, version.side, 3]:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Matrix size-incompatible")
        pixels = np.frombuffer(images.tensor_content, np.uint8).reshape(shape)
        self._answer(response, version, pixels)
        return response

    def _answer(
        self, response: inference_pb2.PredictResponse, version: FakeVersion, pixels: Any
    ) -> None:
        count = len(version.labels)
        best = (pixels.reshape(len(pixels), -1).mean(axis=1) * count // 256).astype(int)
        indices = (best[:, np.newaxis] + np.arange(version.k)) % count
        probabilities = 0.5 / 2.0 ** np.arange(version.k)
        if version.probability is not None:
            probabilities[:] = version.probability
        answer = {
            "class_indices": indices.astype(np.int32),
            "labels": np.array([label.encode() for label in version.labels], np.object_)[indices],
            "probabilities": np.tile(probabilities.astype(np.float32), (len(best), 1)),
        }
        for name, array in answer.items():
            tensors.write_proto(array, response.outputs[name])

    def _metadata(
        self, request: model_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> model_pb2.GetModelMetadataResponse:
        self._count("metadata")
        number, _ = self._find(request.model_spec, context)
        response = model_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = number
        signatures = model_pb2.SignatureDefMap()
        for name in ("top_k", "model_card"):
            signatures.signature_def[name].method_name = "tensorflow/serving/predict"
        response.metadata["signature_def"].CopyFrom(wire.pack_signatures(signatures))
        return response

    def _status(
        self, request: model_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> model_pb2.GetModelStatusResponse:
        self._count("status")
        versions = self.models.get(request.model_spec.name)
        if not versions:
            context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"Could not find any versions of model {request.model_spec.name}",
            )
        return wire.write_statuses(
            VersionStatus(number, State[version.state])
            for number, version in sorted(versions.items(), reverse=True)
        )


def _question(message: Any) -> str:
    if isinstance(message, inference_pb2.PredictResponse):
        return "model_card" if message.model_spec.signature_name == "model_card" else "predict"
    is_status = isinstance(message, model_pb2.GetModelStatusResponse)
    return "status" if is_status else "metadata"


@contextmanager
def running_fake(**versions: dict[int, FakeVersion]) -> Iterator[FakeModelServer]:
    """A fake with these models, on a free port."""
    fake = FakeModelServer()
    fake.models.update(versions)
    fake.start()
    try:
        yield fake
    finally:
        fake.stop()
