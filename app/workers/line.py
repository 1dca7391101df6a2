"""Questions and answers between the supervisor and one worker, over a pair of sockets.

    asker ──Q number length text──► other end ──A number length text──► asker
    supervisor ──S──► worker: stop, when those who are served are served

Either end asks. The line also says who is alive: it ends when the other process ends, however it
does.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

_HEAD: Final = struct.Struct("!cII")
_QUESTION: Final = b"Q"
_ANSWER: Final = b"A"
_STOP: Final = b"S"

Answerer = Callable[[bytes], Awaitable[bytes]]


class LineClosedError(Exception):
    """The other end is gone."""


class Line:
    """One end."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answerer
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self.is_stop_asked = asyncio.Event()
        """The other end said stop, or is gone."""
        self._answering: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @classmethod
    async def over(cls, end: socket.socket, answer: Answerer) -> Line:
        """Open an end; `answer` is asked what the other one asks."""
        reader, writer = await asyncio.open_connection(sock=end)
        return cls(reader, writer, answer)

    async def ask(self, question: bytes) -> bytes:
        """Ask the other end.

        Raises:
            LineClosedError: it is gone, or goes before it answers.
        """
        if self._is_closed:
            raise LineClosedError
        number = next(self._numbers)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(_QUESTION, number, question)
            answer: bytes = await future
            return answer
        finally:
            del self._waiting[number]

    async def run(self) -> None:
        """Pass on what comes until the other end is gone."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._reader.readexactly(_HEAD.size)
                kind, number, length = _HEAD.unpack(head)
                text = await self._reader.readexactly(length)
                if kind == _QUESTION:
                    task = asyncio.create_task(self._reply(number, text))
                    self._answering.add(task)
                    task.add_done_callback(self._answering.discard)
                elif kind == _STOP:
                    self.is_stop_asked.set()
                elif (future := self._waiting.get(number)) is not None and not future.done():
                    future.set_result(text)
        self._is_closed = True
        self._writer.close()
        self.is_stop_asked.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LineClosedError)

    def stop(self) -> None:
        """Tell the other end to."""
        self._send(_STOP, 0, b"")

    def close(self) -> None:
        """Close this end."""
        self._writer.close()

    async def _reply(self, number: int, question: bytes) -> None:
        self._send(_ANSWER, number, await self._answer(question))

    def _send(self, kind: bytes, number: int, text: bytes) -> None:
        with suppress(OSError, RuntimeError):  # gone: `run` says so
            self._writer.write(_HEAD.pack(kind, number, len(text)) + text)
