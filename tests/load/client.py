"""A raw HTTP/1.1 client for load: it costs the machine as little as Python allows.

A request is bytes made once; a connection is one asyncio protocol with one open request. A
latency starts when the request was due, not when a connection was free (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request. Times are time.perf_counter()."""

    status: int
    """0: no answer, `error` says why."""
    due: float
    """When it should have been sent."""
    done: float
    head: bytes = b""
    body: bytes = b""
    error: str = ""

    @property
    def seconds(self) -> float:
        """From the moment when it was due."""
        return self.done - self.due

    @property
    def outcome(self) -> str:
        """The status, or why there is none."""
        return str(self.status) if self.status else self.error

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        wanted = name.lower().encode() + b":"
        for line in self.head.split(b"\r\n"):
            if line.lower().startswith(wanted):
                return line[len(wanted) :].strip().decode("latin-1")
        return None


def request_bytes(
    method: str, path: str, body: bytes = b"", content_type: str = "", **headers: str
) -> bytes:
    """A whole request, ready to be sent often; header names are written with `_` for `-`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def image_request(data: bytes, *, path: str = "/classify", **headers: str) -> bytes:
    """POST /classify with the image as the whole body."""
    return request_bytes("POST", path, data, "application/octet-stream", **headers)


class Client:
    """Keep-alive connections to one server, as many as requests are open."""

    def __init__(self, url: str, *, keeps_alive: bool = True, source: str | None = None) -> None:
        """`source` is the client's own address; Linux has all of 127.0.0.0/8 for a test."""
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._source = (source, 0) if source else None
        self._keeps_alive = keeps_alive
        self._idle: list[_Connection] = []

    async def ask(
        self, request: bytes, *, due: float | None = None, timeout: float = 60.0
    ) -> Answer:
        """Send it, wait for the answer; never raises for what the server or the network does.

        `timeout` counts from `due` (now): an impatient client, who closes the connection then.
        """
        start = time.perf_counter() if due is None else due
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(start + timeout - time.perf_counter()):
                connection = await self._connection()
                status, head, body = await connection.exchange(request)
        except TimeoutError:
            _close(connection)
            return Answer(0, start, time.perf_counter(), error="timeout")
        except (OSError, EOFError) as error:
            _close(connection)
            return Answer(0, start, time.perf_counter(), error=type(error).__name__)
        except asyncio.CancelledError:
            _close(connection)
            raise
        done = time.perf_counter()
        if self._keeps_alive and connection.is_reusable:
            self._idle.append(connection)
        else:
            connection.close()
        return Answer(status, start, done, head, body)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            _Connection, *self._address, local_addr=self._source
        )
        return connection


def _close(connection: _Connection | None) -> None:
    if connection is not None:
        connection.close()


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._body_start = 0
        self._length: int | None = None
        self._waiter: asyncio.Future[tuple[int, bytes, bytes]] | None = None
        self._transport: asyncio.Transport | None = None
        self.is_reusable = False

    def exchange(self, request: bytes) -> asyncio.Future[tuple[int, bytes, bytes]]:
        """Write the request; status, head and body, once they are there."""
        self._buffer.clear()
        self._body_start, self._length = 0, None
        self._waiter = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(request)
        return self._waiter

    def close(self) -> None:
        self.is_reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without saying so
        self.is_reusable = True

    def connection_lost(self, error: Exception | None) -> None:
        self.is_reusable = False
        if self._waiter is None or self._waiter.done():
            return
        if self._body_start and self._length is None:  # its end is the end of the connection
            self._finish(len(self._buffer))
        else:
            self._waiter.set_exception(error or EOFError("closed before the answer"))

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self.close()  # nobody asked
            return
        self._buffer += data
        if not self._body_start and not self._read_head():
            return
        if self._length is not None and len(self._buffer) >= self._body_start + self._length:
            self._finish(self._body_start + self._length)

    def _read_head(self) -> bool:
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            if not self._buffer.startswith(b"HTTP/1.1 1"):
                break
            del self._buffer[: end + len(_HEAD_END)]  # 100 Continue and its like
        else:
            return False
        self._body_start = end + len(_HEAD_END)
        head = bytes(self._buffer[:end]).lower()
        with suppress(ValueError):
            self._length = int(_field(head, b"content-length"))
        self.is_reusable = self._length is not None and _field(head, b"connection") != b"close"
        return True

    def _finish(self, end: int) -> None:
        assert self._waiter is not None
        head = bytes(self._buffer[: self._body_start])
        status = int(head[9:12]) if head[9:12].isdigit() else 0
        self._waiter.set_result((status, head, bytes(self._buffer[self._body_start : end])))


def _field(head: bytes, name: bytes) -> bytes:
    _, found, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() if found else b""


def poisson(rate: float, seconds: float, *, seed: int = 1) -> Iterator[float]:
    """Offsets from the start at which requests of many independent clients are due."""
    generator = random.Random(seed)  # noqa: S311 - a load, no secret
    due = generator.expovariate(rate)
    while due < seconds:
        yield due
        due += generator.expovariate(rate)


def steady(rate: float, seconds: float) -> Iterator[float]:
    """Offsets at a fixed distance."""
    return (number / rate for number in range(int(rate * seconds)))


async def open_loop(
    ask: Callable[[int, float], Awaitable[Answer]], offsets: Iterator[float]
) -> list[Answer]:
    """Call ask(number, due) at each offset, whether or not earlier answers came; all answers."""
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for number, offset in enumerate(offsets):
            due = start + offset
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            tasks.append(group.create_task(_as_coroutine(ask(number, due))))
    return [task.result() for task in tasks]


async def _as_coroutine(awaitable: Awaitable[Answer]) -> Answer:
    return await awaitable


async def closed_loop(
    ask: Callable[[int], Awaitable[Answer]], *, clients: int, seconds: float
) -> list[Answer]:
    """So many clients, each asking again as soon as it has its answer."""
    numbers = iter(range(1 << 62))
    end = time.perf_counter() + seconds
    answers: list[Answer] = []

    async def one() -> None:
        while time.perf_counter() < end:
            answers.append(await ask(next(numbers)))

    await asyncio.gather(*(one() for _ in range(clients)))
    return answers


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
