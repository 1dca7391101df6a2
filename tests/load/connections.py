"""Connections that do what no honest client does: endless heads, bodies that trickle, deaf ears.

Each attack takes a URL and a scale (1: as reported, 0.01: for a test) and returns what it saw in a
few words. It ends by itself, also when the server closes its connections or never does.
"""

from __future__ import annotations

import asyncio
import itertools
import resource
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

Attack = Callable[[str, float], Awaitable[str]]

MEGABYTE = 1_000_000
_HEAD = b"POST /classify HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/octet-stream\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_ANNOUNCED_BYTES = (100_000_000, 100_000_000, 55_960_000)
_PIECE_BYTES = 64 * 1024
_SEND_SECONDS = 60.0
_ANSWER_SECONDS = 5.0
_HOLD_SECONDS = 12.0
"""At scale 1: longer than the header timeout that the gateway should have."""


async def header_lines(url: str, scale: float) -> str:
    """50 MB of header lines of four bytes."""
    return await _stream(url, _HEAD, b"a:b\r\n", 50 * MEGABYTE * scale)


async def one_header(url: str, scale: float) -> str:
    """109 MB in the value of one header."""
    return await _stream(url, _HEAD + b"X-Long: ", b"a" * 1024, 109 * MEGABYTE * scale)


async def long_target(url: str, scale: float) -> str:
    """50 MB in the request line."""
    return await _stream(url, b"GET /", b"a" * 1024, 50 * MEGABYTE * scale)


async def trailers(url: str, scale: float) -> str:
    """670 MB of trailers behind a chunked body."""
    return await _stream(url, _CHUNKED + b"1\r\nx\r\n0\r\n", b"a:b\r\n", 670 * MEGABYTE * scale)


async def chunk_extensions(url: str, scale: float) -> str:
    """100 MB of extensions of one chunk."""
    return await _stream(url, _CHUNKED + b"1;", b"name=value;", 100 * MEGABYTE * scale)


async def tiny_chunks(url: str, scale: float) -> str:
    """20 MB of body in chunks of one byte: 120 MB on the wire."""
    return await _stream(url, _CHUNKED, b"1\r\nx\r\n", 120 * MEGABYTE * scale)


async def pipeline(url: str, scale: float) -> str:
    """200,000 requests on one connection, sent without reading an answer."""
    request = b"GET /livez HTTP/1.1\r\nHost: gateway\r\n\r\n"
    return await _deaf(url, request, 200_000 * len(request) * scale, connections=1, scale=scale)


async def never_reading(url: str, scale: float) -> str:
    """50 clients that ask for the largest answer again and again and never read."""
    request = b"GET /openapi.json HTTP/1.1\r\nHost: gateway\r\n\r\n"
    count = max(2, int(50 * scale))
    return await _deaf(url, request, 2_000 * len(request), connections=count, scale=scale)


async def announced_lengths(url: str, scale: float) -> str:
    """Three idle connections that announce 255,960,000 bytes: all that uploads may hold."""
    seconds = _HOLD_SECONDS * max(scale, 0.25)
    return "; ".join(
        await asyncio.gather(
            *(_hold(url, _announcing(length), 1, seconds) for length in _ANNOUNCED_BYTES)
        )
    )


def _announcing(length: int) -> bytes:
    return (
        f"POST /classify/batch HTTP/1.1\r\nHost: gateway\r\nContent-Length: {length}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    ).encode()


async def slow_bodies(url: str, scale: float) -> str:
    """512 bodies of a byte per second, from one address."""
    head = _HEAD + b"Content-Length: 1000000\r\n\r\n"
    return await _hold(url, head, int(512 * scale), _HOLD_SECONDS * scale, drip=b"x")


async def slow_bodies_of_many(url: str, scale: float) -> str:
    """As before, from 64 addresses."""
    head = _HEAD + b"Content-Length: 1000000\r\n\r\n"
    return await _hold(url, head, int(512 * scale), _HOLD_SECONDS * scale, drip=b"x", addresses=64)


async def slow_heads(url: str, scale: float) -> str:
    """512 heads of a byte per second (slowloris), from 64 addresses."""
    return await _hold(url, _HEAD, int(512 * scale), _HOLD_SECONDS * scale, drip=b"x", addresses=64)


async def idle_sockets(url: str, scale: float) -> str:
    """1,100 connections that say nothing, from 64 addresses; the gateway may open 1,024 files."""
    return await _hold(url, b"", int(1100 * scale), _HOLD_SECONDS * scale, addresses=64)


async def flood(url: str, scale: float) -> str:
    """10,000 connections from one address, closed as soon as they are open."""
    seen: Counter[str] = Counter()

    async def open_and_close(count: int) -> None:
        for _ in range(count):
            try:
                _, writer = await _connect(url, "127.0.0.2")
                writer.transport.abort()
                seen["opened"] += 1
            except OSError as error:
                seen[type(error).__name__] += 1

    workers = 50
    await asyncio.gather(*(open_and_close(int(10_000 * scale / workers)) for _ in range(workers)))
    return _words(seen)


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        header_lines, one_header, long_target, trailers, chunk_extensions, tiny_chunks, pipeline,
        never_reading, announced_lengths, slow_bodies, slow_bodies_of_many, slow_heads,
        idle_sockets, flood,
    )
}  # fmt: skip


async def _stream(url: str, start: bytes, unit: bytes, total: float) -> str:
    """Send so much on one connection, as fast as it is taken; what was answered, and when."""
    reader, writer = await _connect(url, "127.0.0.2")
    piece = unit * (_PIECE_BYTES // len(unit))
    sent = 0
    answering = asyncio.create_task(reader.read(64))
    try:
        writer.write(start)
        async with asyncio.timeout(_SEND_SECONDS):
            while sent < total and not answering.done():
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await answering
    except TimeoutError:
        answer = b"no answer"
    except OSError as error:
        answer = answering.result() if _is_good(answering) else type(error).__name__.encode()
    finally:
        answering.cancel()
        writer.transport.abort()
    line = answer.split(b"\r\n")[0].decode("latin-1") or "closed without an answer"
    return f"{line} after {sent / MEGABYTE:.1f} MB"


def _is_good(task: asyncio.Task[bytes]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _deaf(url: str, request: bytes, total: float, *, connections: int, scale: float) -> str:
    """Send so much per connection and never read, until the server stops taking it."""
    seen: Counter[str] = Counter()

    async def one() -> None:
        _, writer = await _connect(url, "127.0.0.2", limit=1)
        writer.transport.pause_reading()
        writer.transport.set_write_buffer_limits(high=_PIECE_BYTES)
        piece = request * (_PIECE_BYTES // len(request))
        try:
            async with asyncio.timeout(_HOLD_SECONDS * scale):
                for _ in range(int(total) // len(piece) + 1):
                    writer.write(piece)
                    await writer.drain()
                    seen["kB sent"] += len(piece) // 1000
                await asyncio.sleep(_HOLD_SECONDS)
        except TimeoutError:
            seen["still open"] += 1
        except OSError:
            seen["closed"] += 1
        finally:
            writer.transport.abort()

    await asyncio.gather(*(one() for _ in range(connections)))
    return _words(seen)


async def _hold(
    url: str, head: bytes, count: int, seconds: float, *, drip: bytes = b"", addresses: int = 1
) -> str:
    """So many connections that send the head, then a drip each second; how each ended."""
    _raise_own_limit()
    seen: Counter[str] = Counter()
    sources = _sources(addresses)

    async def one(source: str) -> None:
        try:
            reader, writer = await _connect(url, source)
        except OSError as error:
            seen[type(error).__name__] += 1
            return
        try:
            async with asyncio.timeout(seconds):
                writer.write(head)
                seen[await _ended(reader, writer, drip)] += 1
        except TimeoutError:
            seen["still open"] += 1
        except OSError as error:
            seen[type(error).__name__] += 1
        finally:
            writer.transport.abort()

    await asyncio.gather(*(one(next(sources)) for _ in range(count)))
    return _words(seen)


async def _ended(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, drip: bytes) -> str:
    """Wait for an answer or the end, dripping."""
    answering = asyncio.create_task(reader.read(64))
    try:
        while not answering.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.shield(answering)
            writer.write(drip)
        return answering.result()[9:12].decode() or "closed"
    finally:
        answering.cancel()


async def _connect(
    url: str, source: str, *, limit: int = 2**16
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    return await asyncio.open_connection(
        parts.hostname, parts.port or 80, local_addr=(source, 0), limit=limit
    )


def _sources(count: int) -> Iterator[str]:
    return itertools.cycle(
        f"127.0.{1 + number // 200}.{1 + number % 200}" for number in range(count)
    )


def _raise_own_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _words(seen: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(seen.items()))
