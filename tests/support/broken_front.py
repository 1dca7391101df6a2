"""A port before a model server that passes bytes on, or breaks HTTP itself, as it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

End = Literal["close", "reset", "hang", "drip", "flood"]
_CHUNK = 1 << 16
_FLOOD = bytes(1 << 20)


@dataclass(frozen=True)
class Break:
    """What a connection gets instead of answers."""

    greeting: bytes = b""
    """As soon as it is accepted."""
    reply: bytes = b""
    """Once it has sent something."""
    end: End = "close"
    drop: bytes = b" "
    """Sent once in a tenth of a second for ever where the end is a drip."""


class Front:
    """Relays to `behind`; `broken` changes what happens to connections from then on."""

    def __init__(self, behind: int) -> None:
        self.port = 0
        self._behind = behind
        self._break: Break | None = None
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_open = threading.Event()
        self._stopping = asyncio.Event()

    @property
    def is_broken(self) -> bool:
        return self._break is not None

    def break_with(self, how: Break | None, *, ends: bool = True) -> None:
        """End every connection, or none; those that come get this, or with None what is behind."""
        done = threading.Event()

        def change() -> None:
            self._break = how
            for task in self._tasks if ends else ():
                task.cancel()
            for writer in self._writers if ends else ():
                writer.transport.abort()
            done.set()

        self._loop.call_soon_threadsafe(change)
        assert done.wait(10)

    def run(self) -> None:
        # Connections that break are what this is for: nobody needs asyncio's word on each.
        self._loop.set_exception_handler(lambda *_: None)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    def wait_until_open(self) -> None:
        assert self._is_open.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._is_open.set()
        await self._stopping.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the loop's next round

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self._break is None:
                await self._relay(reader, writer)
            else:
                await _break(self._break, reader, writer)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)
            self._writers.discard(writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        finally:
            inner_writer.transport.abort()


async def _break(how: Break, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(how.greeting)
    if how.reply or how.end != "close":
        await reader.read(_CHUNK)
        writer.write(how.reply)
    if how.end == "reset":
        writer.transport.abort()  # with unread bytes on its side the kernel resets the connection
        return
    drain = asyncio.create_task(_pump(reader, None))
    try:
        if how.end == "hang":
            await asyncio.Event().wait()
        while how.end in {"drip", "flood"} and not drain.done():
            writer.write(how.drop if how.end == "drip" else _FLOOD)
            await writer.drain()
            await asyncio.sleep(0.1 if how.end == "drip" else 0.001)
        with suppress(OSError):
            writer.write_eof()
        await asyncio.wait({drain}, timeout=1)
    finally:
        drain.cancel()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            if writer is not None:
                writer.write(data)
                await writer.drain()
        if writer is not None:
            writer.write_eof()


@contextmanager
def front_of(port: int) -> Iterator[Front]:
    """A front of that port, on a port of its own."""
    front = Front(port)
    thread = threading.Thread(target=front.run)
    thread.start()
    try:
        front.wait_until_open()
        yield front
    finally:
        front.stop()
        thread.join(10)
