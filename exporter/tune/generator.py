"""The load generator: a process of its own, so that its work is no other's pause.

It reads a job per line from standard input and writes what it saw per line to standard output, both
JSON. `load` is its other end.

    {"kind": "calls", "url": "grpc://…", "model": …, "version": …, "batch_size": …, "in_flight": …}
        a closed loop: so many calls at a time of the signature that the gateway asks
    {"kind": "closed", "port": …, "clients": …}
        a closed loop through a gateway: each client sends its next photo after its last answer
    {"kind": "open", "port": …, "rate": …}
        an open loop: photos come at random times whose distances are exponential, whether earlier
        ones were answered or not, and wait from the time that they were due
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from contract import signatures as names
from protocol.client import Input, ProtocolError
from protocol.models import ModelSpec
from protocol.schemes import SCHEMES, client_class

PIXELS_FILE: Final = "pixels.npy"
PHOTOS: Final = "photos"
_CALL_TIMEOUT_SECONDS: Final = 30.0
_PAUSE_AFTER_REFUSAL_SECONDS: Final = 0.01
_MOST_CONNECTIONS: Final = 256
_OK: Final = 200
_SEED: Final = 11


@dataclass(slots=True)
class _Seen:
    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    error: str = ""
    """Of the last one that failed."""

    async def timed(self, work: Awaitable[object], since: float) -> bool:
        """Wait for an answer; whether there was one."""
        try:
            await work
        except (ProtocolError, OSError, EOFError, ValueError) as error:
            self.failed += 1
            self.error = str(error)
            return False
        self.latencies.append(time.perf_counter() - since)
        return True


class _Refused(ValueError):  # noqa: N818 - an answer, and no mistake of ours
    """Another status than 200."""


class _Connection:
    """HTTP/1.1 with one gateway, one request at a time; connects again after an error."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def classify(self, body: bytes) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(
                b"POST /classify HTTP/1.1\r\nHost: tune\r\nContent-Type: application/octet-stream"
                b"\r\nContent-Length: %d\r\n\r\n" % len(body)
            )
            writer.write(body)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_content_length(head))
        except BaseException:
            self.close()
            raise
        if b"\r\nconnection: close" in head.lower():
            self.close()
        status = int(head[9:12])
        if status != _OK:
            raise _Refused(f"status {status}")

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0


class Generator:
    """Does jobs with the pixels and photos of a folder."""

    def __init__(self, folder: Path) -> None:
        self._pixels = np.load(folder / PIXELS_FILE)
        files = sorted((folder / PHOTOS).iterdir())
        self._photos = [file.read_bytes() for file in files]

    async def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """One job; what was seen."""
        kinds: dict[str, Callable[..., Awaitable[tuple[_Seen, float]]]] = {
            "calls": self._calls,
            "closed": self._closed,
            "open": self._open,
        }
        seen, seconds = await kinds[job.pop("kind")](**job)
        return {
            "seconds": seconds,
            "latencies_seconds": [round(each, 6) for each in seen.latencies],
            "failed": seen.failed,
            "error": seen.error,
        }

    async def _calls(
        self,
        *,
        url: str,
        model: str,
        version: int,
        batch_size: int,
        in_flight: int,
        seconds: float,
    ) -> tuple[_Seen, float]:
        scheme, address = url.split("://")
        client = client_class(SCHEMES[scheme][0])(address)
        spec = ModelSpec(model, version, signature_name=names.TOP_K)
        rows = itertools.cycle([row.tobytes() for row in self._pixels])
        batches = [
            Input(names.IMAGES, "uint8", self._pixels.shape[1:], list(itertools.islice(rows, size)))
            for size in [batch_size] * in_flight
        ]

        async def call(lane: int) -> None:
            await client.predict(spec, batches[lane], timeout_seconds=_CALL_TIMEOUT_SECONDS)

        try:
            return await _closed_loop(call, in_flight, seconds)
        finally:
            await client.aclose()

    async def _closed(self, *, port: int, clients: int, seconds: float) -> tuple[_Seen, float]:
        connections = [_Connection(port) for _ in range(clients)]
        photos = itertools.cycle(self._photos)
        try:
            return await _closed_loop(
                lambda client: connections[client].classify(next(photos)), clients, seconds
            )
        finally:
            for connection in connections:
                connection.close()

    async def _open(self, *, port: int, rate: float, seconds: float) -> tuple[_Seen, float]:
        idle = [_Connection(port) for _ in range(_MOST_CONNECTIONS)]
        every = list(idle)
        photos = itertools.cycle(self._photos)
        seen = _Seen()

        async def ask(photo: bytes, due: float) -> None:
            if not idle:
                seen.failed += 1
                return
            connection = idle.pop()
            try:
                await seen.timed(connection.classify(photo), due)
            finally:
                idle.append(connection)

        begun = time.perf_counter()
        tasks = set()
        for due in _arrivals(rate, seconds):
            await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
            tasks.add(asyncio.create_task(ask(next(photos), begun + due)))
        await asyncio.gather(*tasks)
        for connection in every:
            connection.close()
        return seen, seconds


def _arrivals(rate: float, seconds: float) -> Iterator[float]:
    """Times from 0, the same every time; at least one."""
    chance = random.Random(_SEED)  # noqa: S311 - arrivals are no secret
    due = 0.0
    while due < seconds:
        yield due
        due += chance.expovariate(rate)


async def _closed_loop(
    call: Callable[[int], Awaitable[object]], lanes: int, seconds: float
) -> tuple[_Seen, float]:
    """Everybody once without a clock, then as often as there is time."""
    warm = _Seen()
    await asyncio.gather(*(warm.timed(call(lane), 0.0) for lane in range(lanes)))
    seen = _Seen()
    begun = time.perf_counter()

    async def repeat(lane: int) -> None:
        while (since := time.perf_counter()) < begun + seconds:
            if not await seen.timed(call(lane), since):
                await asyncio.sleep(_PAUSE_AFTER_REFUSAL_SECONDS)

    await asyncio.gather(*(repeat(lane) for lane in range(lanes)))
    return seen, time.perf_counter() - begun


def _serve(folder: Path) -> None:
    generator = Generator(folder)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            answer = runner.run(generator.run(json.loads(line)))
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
