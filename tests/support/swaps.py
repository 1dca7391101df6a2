"""Version swaps of a small model under load, by a real server."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil

from protocol.messages.config_pb2 import ReloadConfigRequest
from protocol.messages.inference_pb2 import PredictRequest, PredictResponse
from protocol.messages.tensor_pb2 import DT_UINT8
from tests.support import fixture_models
from tests.support.model_server import RunningModelServer, running_model_server

PREDICT = "/tensorflow.serving.PredictionService/Predict"
RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"


@dataclass
class Soak:
    """What happened: answers, failures, and the resident memory after each swap."""

    answers: int = 0
    failures: list[str] = field(default_factory=list)
    resident_bytes: list[int] = field(default_factory=list)

    @property
    def half_way_bytes(self) -> int:
        """Resident memory after the first half of the swaps."""
        return self.resident_bytes[(len(self.resident_bytes) - 1) // 2]


def soak(
    directory: Path,
    swaps: int,
    clients: int,
    *,
    engine: str = "tensorflow",
    report: Callable[[int, int, int], None] = lambda *_: None,
) -> Soak:
    """Swap `swaps` times while `clients` threads send requests.

    `report` gets swaps, resident bytes and answers so far after each.
    """
    models = directory / "models"
    fixture_models.build(models)
    served = directory / "served"
    fixture_models.copy_version(models, "m", 1, served / "1")
    result, stopping = Soak(), threading.Event()
    flags = ["--model_name=m", f"--model_base_path={served}", "--enable_reload_config"]
    flags += [f"--engine={engine}", f"--openvino_cache_dir={directory / 'cache'}"]
    with running_model_server(directory, *flags) as server:
        threads = [
            threading.Thread(target=_send, args=(server, result, stopping)) for _ in range(clients)
        ]
        for thread in threads:
            thread.start()
        try:
            for number in range(2, swaps + 2):
                _swap(server, models, served, number)
                result.resident_bytes.append(psutil.Process(server.pid).memory_info().rss)
                report(number - 1, result.resident_bytes[-1], result.answers)
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
    return result


def _swap(server: RunningModelServer, models: Path, served: Path, number: int) -> None:
    """Publish a version and wait until it answers; versions 1 and 2 of the fixture take turns."""
    fixture_models.copy_version(models, "m", 1 + number % 2, served / str(number))
    with grpc.insecure_channel(server.grpc_address) as channel:
        _look_at_disk(channel, served)
        deadline = time.monotonic() + 60
        while _version(channel) != number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"version {number} does not answer: {server.output[-2000:]}")
            time.sleep(0.02)
    shutil.rmtree(served / str(number - 1))


def _look_at_disk(channel: grpc.Channel, served: Path) -> None:
    request = ReloadConfigRequest()
    request.config.model_config_list.config.add(
        name="m", base_path=str(served), model_platform="tensorflow"
    )
    channel.unary_unary(RELOAD)(request.SerializeToString(), timeout=60)


def _version(channel: grpc.Channel) -> int:
    return _response(channel).model_spec.version.value


def _response(channel: grpc.Channel) -> Any:
    request = PredictRequest()
    request.model_spec.name = "m"
    request.inputs["images"].dtype = DT_UINT8
    for size in (1, 8, 8, 3):
        request.inputs["images"].tensor_shape.dim.add(size=size)
    call = channel.unary_unary(
        PREDICT,
        request_serializer=PredictRequest.SerializeToString,
        response_deserializer=PredictResponse.FromString,
    )
    return call(request, timeout=30)


def _send(server: RunningModelServer, result: Soak, stopping: threading.Event) -> None:
    last = 0
    with grpc.insecure_channel(server.grpc_address) as channel:
        while not stopping.is_set():
            try:
                response = _response(channel)
            except grpc.RpcError as error:
                result.failures.append(str(error))
                continue
            version = response.model_spec.version.value
            score = response.outputs["scores"].float_val[0]
            if version < last or not np.isclose(score, 1 if version == 1 else 1 + version % 2):
                result.failures.append(f"version {version} after {last} answered {score}")
            last = version
            result.answers += 1
