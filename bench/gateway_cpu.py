r"""CPU that one photo takes in the gateway: in its event loop, and in its decode workers.

    python -m bench.gateway_cpu [--image photo.jpg] [--side 224] [--rounds 8] \
        [--baseline ANOTHER_WORKING_TREE]

Behind the gateway is a model server that only sleeps (`bench.costless_server`). The figures are CPU
seconds as the system counts them, not wall time, so other processes disturb them little; with a
baseline both trees run at once and are driven in turns: quote the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from PIL import Image

from bench.costless_server import MODEL
from tests.support import stack
from tests.support.pictures import photographs, saved
from tests.support.processes import ROOT, python_module

_BOUNDARY = "0123456789abcdef"


@dataclass
class Subject:
    """One working tree's gateway over one protocol."""

    name: str
    gateway: stack.Gateway
    milliseconds: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """By kind of body: CPU of the gateway's process and of its workers, per request and round."""

    def cpu_seconds(self) -> tuple[float, float]:
        """What the gateway's process has used, and its workers."""
        loop, workers = psutil.Process(self.gateway.process.pid), 0.0
        for each in loop.children(recursive=True):
            workers += used(each.pid)
        return used(loop.pid), workers


def used(pid: int) -> float:
    """CPU seconds of a process: its clock has nanoseconds, /proc only ticks."""
    return time.clock_gettime((~pid << 3) | 2)  # as clock_getcpuclockid(3) does


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--image", type=Path, help="default: a 500x375 JPEG of a real photograph")
    parser.add_argument("--side", type=int, default=224, help="of the model's input, in pixels")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=200, help="per round and kind of body")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--item-milliseconds", type=float, default=3.0)
    parser.add_argument("--baseline", type=Path, help="a working tree to compare with")
    parser.add_argument("--protocols", default="grpc,unix,rest")
    arguments = parser.parse_args()
    data = arguments.image.read_bytes() if arguments.image else photograph()
    print(f"an image of {len(data):,} bytes, a model of {arguments.side} x {arguments.side}")
    with tempfile.TemporaryDirectory() as name, ExitStack() as gateways:
        urls = gateways.enter_context(model_server(Path(name), arguments))
        subjects = list(start(gateways, Path(name), urls, arguments))
        asyncio.run(measure(subjects, bodies(data), arguments))
    for kind in subjects[0].milliseconds:
        report(kind, subjects)


def photograph() -> bytes:
    """A JPEG of 500x375 with about 50 kB, as photo collections have them."""
    image = Image.fromarray(photographs()["coffee"]).resize((500, 375))
    return saved(image, "JPEG", quality=90)


@contextmanager
def model_server(folder: Path, arguments: argparse.Namespace) -> Iterator[dict[str, str]]:
    """The sleeping model server; its URLs by protocol."""
    socket = folder / "socket"
    command = python_module(
        "bench.costless_server",
        str(arguments.side),
        str(arguments.item_milliseconds),
        str(socket),
    )
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        lines = iter(process.stdout or ())
        grpc, rest = (next(lines).strip() for _ in range(2))
        try:
            yield {"grpc": grpc, "unix": f"grpc://unix:{socket}", "rest": rest}
        finally:
            process.terminate()


def start(
    gateways: ExitStack, folder: Path, urls: dict[str, str], arguments: argparse.Namespace
) -> Iterator[Subject]:
    """A gateway for each protocol, and one of the baseline's for each that it speaks."""
    trees = {"": ROOT} | ({"baseline ": arguments.baseline} if arguments.baseline else {})
    for protocol in arguments.protocols.split(","):
        for prefix, tree in trees.items():
            if prefix and protocol == "unix":
                continue
            name = f"{prefix}{protocol}"
            gateway = stack.gateway(
                urls[protocol],
                MODEL,
                folder / name,
                folder=tree,
                GATEWAY_TARGET_QUEUE_SECONDS="30",  # a busy machine must not make it refuse
            )
            yield Subject(name, gateways.enter_context(gateway))


def bodies(data: bytes) -> dict[str, tuple[str, bytes]]:
    """Content type and body by kind."""
    head = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    form = head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return {
        "raw": ("image/jpeg", data),
        "multipart": (f"multipart/form-data; boundary={_BOUNDARY}", form),
    }


async def measure(
    subjects: list[Subject], kinds: dict[str, tuple[str, bytes]], arguments: argparse.Namespace
) -> None:
    """Drive everybody in turns; the first round warms up."""
    for number in range(arguments.rounds + 1):
        for kind, (content_type, body) in kinds.items():
            for subject in subjects if number % 2 else reversed(subjects):
                before = subject.cpu_seconds()
                await drive(subject.gateway.url, content_type, body, arguments)
                after = subject.cpu_seconds()
                if number:
                    loop, workers = (
                        1000 * (end - begin) / arguments.requests
                        for begin, end in zip(before, after, strict=True)
                    )
                    subject.milliseconds.setdefault(kind, []).append((loop, workers))


async def drive(url: str, content_type: str, body: bytes, arguments: argparse.Namespace) -> None:
    """Closed loop: so many clients share the requests."""
    parts = urlsplit(url)
    head = (
        f"POST /classify HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    remaining = iter(range(arguments.requests))

    async def client() -> None:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        for _ in remaining:
            writer.write(head + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            content = await reader.readexactly(int(length))
            if not answer.startswith(b"HTTP/1.1 200"):
                sys.exit(content.decode())
        writer.close()

    await asyncio.gather(*(client() for _ in range(arguments.clients)))


def report(kind: str, subjects: list[Subject]) -> None:
    """Medians of everybody, and ratios to the baseline over the same protocol, round by round."""
    rounds = {subject.name: subject.milliseconds[kind] for subject in subjects}
    for name, measured in rounds.items():
        loop, workers = (statistics.median(each) for each in zip(*measured, strict=True))
        text = f"{kind:9} {name:14} gateway {loop:5.2f} ms   workers {workers:5.2f} ms"
        baseline = rounds.get(f"baseline {'grpc' if name == 'unix' else name}")
        if baseline is not None:
            pairs = list(zip(measured, baseline, strict=True))
            ratios = [statistics.median(new[i] / old[i] for new, old in pairs) for i in range(2)]
            text += f"   ratios {ratios[0]:.2f}, {ratios[1]:.2f}"
        print(text)


if __name__ == "__main__":
    main()
