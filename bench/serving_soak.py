"""Swaps versions under load: no request may fail, and memory must level off.

    python bench/serving_soak.py --swaps 1000

Each swap publishes the next version of the small fixture model, has the server look at its disk
(by reloading its config) and waits until the version answers, while clients send Predict all the
time. Prints the resident memory every fifty swaps, and how that at the end compares with that
half-way.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
from tensorflow_serving.apis import model_management_pb2, predict_pb2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import fixture_models
from tests.support.model_server import RunningModelServer, running_model_server

PREDICT = "/tensorflow.serving.PredictionService/Predict"
RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
_MEGABYTE = 1 << 20


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        result = soak(Path(directory), arguments.swaps, arguments.clients, report=print)
    print(f"{result.answers} answers, {len(result.failures)} failures {result.failures[:3]}")
    half, end = result.half_way_bytes, result.resident_bytes[-1]
    print(f"resident half-way {half / _MEGABYTE:.0f} MB, at the end {end / _MEGABYTE:.0f} MB")
    print(f"growth in the second half {100 * (end / half - 1):+.1f} %    (wanted: within 5 %)")
    sys.exit(bool(result.failures) or abs(end / half - 1) > 0.05)


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


def soak(directory: Path, swaps: int, clients: int, *, report: Any = lambda _: None) -> Soak:
    """Swap `swaps` times while `clients` threads send requests."""
    models = directory / "models"
    fixture_models.build(models)
    served = directory / "served"
    fixture_models.copy_version(models, "m", 1, served / "1")
    result, stopping = Soak(), threading.Event()
    flags = ["--model_name=m", f"--model_base_path={served}"]
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
                if number % 50 == 1:
                    megabytes = result.resident_bytes[-1] / _MEGABYTE
                    report(f"{number - 1} swaps, {megabytes:.0f} MB, {result.answers} answers")
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
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(
        name="m", base_path=str(served), model_platform="tensorflow"
    )
    channel.unary_unary(RELOAD)(request.SerializeToString(), timeout=60)


def _version(channel: grpc.Channel) -> int:
    return _response(channel).model_spec.version.value


def _response(channel: grpc.Channel) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["images"].dtype = 4
    for size in (1, 8, 8, 3):
        request.inputs["images"].tensor_shape.dim.add(size=size)
    call = channel.unary_unary(
        PREDICT,
        request_serializer=predict_pb2.PredictRequest.SerializeToString,
        response_deserializer=predict_pb2.PredictResponse.FromString,
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


if __name__ == "__main__":
    main()
