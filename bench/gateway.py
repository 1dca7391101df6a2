"""What the gateway costs: time to start, memory, and throughput beside direct gRPC calls.

    python -m bench.gateway [--models DIR] [--model digits] [--requests 1000] [--clients 16]

Everything is measured in one run on one machine, so quote the ratios, not the seconds. The same
pictures are posted to the gateway as files and, already decoded, to the model server over gRPC,
one per call, as clients without a gateway do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil

from contract.card import ModelCard
from contract.pixels import ImageSpec, decode
from protocol.blocking import BlockingClient
from protocol.models import ModelSpec
from tests.support import stack
from tests.support.model_server import RunningModelServer
from tests.support.pictures import encoded, photographs
from tests.support.processes import free_ports, python_module, running, wait_until


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("models"), help="published models")
    parser.add_argument("--model", default="digits")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=16)
    arguments = parser.parse_args()
    files = [encoded(pixels) for pixels in photographs().values()]
    with (
        tempfile.TemporaryDirectory() as folder,
        stack.model_server(arguments.models, *FLAGS) as server,
    ):
        report_start(Path(folder), server)
        for protocol in ("grpc", "http"):
            log = Path(folder) / f"{protocol}.log"
            with stack.gateway(server.url(protocol), arguments.model, log) as gateway:
                card = httpx.get(f"{gateway.url}/models/{arguments.model}").json()["versions"][0]
                spec = ModelCard.model_validate(card["card"]).image
                idle = resident_megabytes(gateway.process.pid)
                rate, latencies = drive(poster(gateway.url, files), arguments)
                used = resident_megabytes(gateway.process.pid)
            direct, direct_latencies = drive(
                caller(server, arguments.model, files, spec), arguments
            )
            print(
                f"{protocol}: gateway {rate:.0f} req/s {percentiles(latencies)}; direct gRPC, "
                f"pixels decoded beforehand {direct:.0f} req/s {percentiles(direct_latencies)}; "
                f"ratio {rate / direct:.2f}; resident {idle:.0f} MB idle, {used:.0f} MB after "
                f"{arguments.requests} requests"
            )


FLAGS = ("--tensorflow_intra_op_parallelism=1", "--tensorflow_inter_op_parallelism=2")


def report_start(folder: Path, server: RunningModelServer) -> None:
    """Time from the start of the process to its first answer, beside a bare interpreter's."""
    ready, bare = [], []
    for number in range(5):
        (port,) = free_ports(1)
        start = time.perf_counter()
        with running(
            python_module("app", "--port", str(port)),
            folder / f"start-{number}.log",
            GATEWAY_MODEL_SERVER_URL=server.url("grpc"),
            GATEWAY_MODEL_NAME="digits",
        ):
            wait_until(lambda: is_live(port))  # noqa: B023 - called before the next turn
            ready.append(time.perf_counter() - start)
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append(time.perf_counter() - start)
    print(
        f"start: /livez answers after {np.median(ready):.2f} s (median of 5), "
        f"a bare interpreter ends after {np.median(bare):.2f} s"
    )


def is_live(port: int) -> bool:
    """Whether /livez answers 200."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez").status_code == 200
    except httpx.TransportError:
        return False


def poster(url: str, files: list[bytes]) -> Callable[[int], None]:
    """Posts one file per call."""
    client = httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_connections=64))

    def post(number: int) -> None:
        response = client.post(
            "/classify",
            content=files[number % len(files)],
            headers={"Content-Type": "image/jpeg"},
        )
        response.raise_for_status()

    return post


def caller(
    server: RunningModelServer, model: str, files: list[bytes], image: ImageSpec
) -> Callable[[int], None]:
    """Calls top_k with one decoded picture per call."""
    pixels = [decode(data, image)[np.newaxis] for data in files]
    spec = ModelSpec(model, signature_name="top_k")
    threads = threading.local()  # a blocking client belongs to one thread

    def call(number: int) -> None:
        if not hasattr(threads, "client"):
            threads.client = BlockingClient(server.url("grpc"), timeout_seconds=60)
        threads.client.predict(spec, "images", pixels[number % len(pixels)])

    return call


def drive(send: Callable[[int], None], arguments: argparse.Namespace) -> tuple[float, list[float]]:
    """Closed loop: `clients` threads until `requests` are done; requests/s and seconds each."""

    def timed(number: int) -> float:
        start = time.perf_counter()
        send(number)
        return time.perf_counter() - start

    with ThreadPoolExecutor(arguments.clients) as pool:
        list(pool.map(timed, range(arguments.clients * 4)))  # warm-up
        start = time.perf_counter()
        latencies = list(pool.map(timed, range(arguments.requests)))
        return arguments.requests / (time.perf_counter() - start), latencies


def percentiles(seconds: list[float]) -> str:
    """p50 and p99 in milliseconds."""
    p50, p99 = np.percentile(np.array(seconds) * 1000, [50, 99])
    return f"(p50 {p50:.1f} ms, p99 {p99:.1f} ms)"


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process."""
    return float(psutil.Process(pid).memory_info().rss / 1e6)


if __name__ == "__main__":
    main()
