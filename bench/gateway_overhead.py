r"""What the gateway adds: open-loop latency of POST /classify against direct gRPC Predict.

Both sides get the same image at the same constant rate; a request's clock starts when it was due,
not when a connection was free (no coordinated omission). Direct calls send pixels that are decoded
already, so the difference is all that the gateway does: HTTP, decoding, batching, JSON.

    python -m bench.gateway_overhead --image photo.jpg --model digits \\
        --gateway http://127.0.0.1:8000 --model-server grpc://127.0.0.1:8500 --rates 20,50,100

Gateway and model server must be running; run it on an idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from app.classify.catalog import Catalog
from app.metrics.gateway import Metrics
from app.model_server.addresses import parse_targets
from app.model_server.pool import ModelServerPool
from contract.pixels import decode
from protocol.models import ModelSpec
from protocol.schemes import client_class

Call = Callable[[], Awaitable[None]]


class HttpCaller:
    """Keep-alive connections that do the least an HTTP/1.1 client can do."""

    def __init__(self, url: str, data: bytes) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        head = (
            f"POST /classify HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/octet-stream\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self._request = head.encode() + data
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(self) -> None:
        """One request on an idle connection, or on a new one."""
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        body = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(body.decode())
        self._idle.append((reader, writer))

    def close(self) -> None:
        """Close the idle connections."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def direct_caller(server: ModelServerPool, model: str, data: bytes) -> Call:
    """A Predict of the image's pixels, decoded once."""
    version = await Catalog(server, {}, clock=time.monotonic).resolve(ModelSpec(model))
    signature = version.signature
    row = signature.plan(server.row_encoding).row(decode(data, signature.image))
    (replica,) = server.replicas

    async def call() -> None:
        await signature.question.ask(replica, ModelSpec(model), (row,), timeout_seconds=30)

    return call


async def open_loop(call: Call, rate: float, seconds: float) -> list[float]:
    """Latencies in milliseconds of calls that are due every 1/rate seconds."""
    latencies: list[float] = []
    start = time.perf_counter() + 0.05

    async def one(due: float) -> None:
        await asyncio.sleep(due - time.perf_counter())
        await call()
        latencies.append(1000 * (time.perf_counter() - due))

    await asyncio.gather(*(one(start + number / rate) for number in range(int(rate * seconds))))
    return latencies


def row(name: str, rate: float, latencies: list[float]) -> str:
    """One line of the table."""
    p50, p90, p99 = np.percentile(latencies, [50, 90, 99])
    return f"| {name} | {rate:g} | {len(latencies)} | {p50:.1f} | {p90:.1f} | {p99:.1f} |"


async def run(arguments: argparse.Namespace) -> None:
    """Measure both sides at every rate."""
    data = arguments.image.read_bytes()
    targets = parse_targets(arguments.model_server)
    server = ModelServerPool(
        targets,
        client_class(targets.scheme),
        calls_per_address=1,
        resolve_interval_seconds=5,
        observer=Metrics(time.monotonic).model_server,
    )
    await server.start()
    direct = await direct_caller(server, arguments.model, data)
    gateway = HttpCaller(arguments.gateway, data)
    print("| path | req/s | n | p50 ms | p90 ms | p99 ms |\n|---|---|---|---|---|---|")
    for rate in arguments.rates:
        for name, call in (("direct gRPC", direct), ("gateway", gateway.call)):
            await open_loop(call, rate, 1.0)  # warm
            print(row(name, rate, await open_loop(call, rate, arguments.seconds)), flush=True)
    await server.aclose()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--gateway", default="http://127.0.0.1:8000")
    parser.add_argument("--model-server", default="grpc://127.0.0.1:8500")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument(
        "--rates",
        type=lambda text: [float(rate) for rate in text.split(",")],
        default=[20.0, 50.0, 100.0],
        help="requests per second, separated by commas",
    )
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
