"""The gateway's end of one worker's socket: a job goes out, reports come in, nothing blocks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final

from app.decode.frames import ORDER, Order
from app.decode.reports import Reported, ReportError, read_report

_BUFFER_BYTES: Final = 1 << 18
_SOCKET_BYTES: Final = 212_992
"""Linux's usual maximum (net.core.wmem_max): a row of 224 x 224 pixels is on its way in one go."""


class Link:
    """Sends orders to one worker and hands its reports on; None for what is no report."""

    def __init__(self, number: int, on_report: Callable[[Link, Reported | None], None]) -> None:
        ours, self.theirs = socket.socketpair()
        for end in (ours, self.theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        ours.settimeout(0)
        self.number = number
        self._socket = ours
        self._on_report = on_report
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._received = bytearray()
        """The parts of a report that did not arrive in one go."""
        self._granted_bytes = 0
        self._unsent: list[memoryview] = []
        self._loop.add_reader(ours, self._read)

    def send_job(self, plan: bytes, data: bytes, granted_bytes: int) -> None:
        """Give the worker a file to decode; its row is part of the memory that is granted."""
        self._granted_bytes = granted_bytes
        head = ORDER.pack(Order.JOB, len(plan), len(data), granted_bytes)
        self._send([head, plan, data])

    def grant(self, granted_bytes: int) -> None:
        """Let the worker take the memory that it asked for."""
        self._granted_bytes = granted_bytes
        self._send([ORDER.pack(Order.GRANT, 0, 0, 0)])

    def withdraw(self) -> None:
        """Take the job away from the worker."""
        self._send([ORDER.pack(Order.WITHDRAW, 0, 0, 0)])

    def close(self) -> None:
        """Close the socket: an idle worker ends."""
        self._stop_writing()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _send(self, parts: Sequence[bytes]) -> None:
        try:
            sent = self._socket.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        except OSError:  # the worker is gone; the zygote tells how
            return
        for part in parts:
            if sent < len(part):
                self._unsent.append(memoryview(part)[sent:])
            sent = max(0, sent - len(part))
        if self._unsent:
            self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        try:
            sent = self._socket.sendmsg(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._stop_writing()
            return
        while self._unsent and sent >= len(self._unsent[0]):
            sent -= len(self._unsent.pop(0))
        if self._unsent:
            self._unsent[0] = self._unsent[0][sent:]
        else:
            self._stop_writing()

    def _stop_writing(self) -> None:
        self._unsent = []
        self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            size = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if size == 0:  # the worker ended; the zygote tells how
            self._loop.remove_reader(self._socket)
            return
        arrived = self._buffer[:size]
        if self._received:
            self._received += arrived
            arrived = memoryview(self._received)
        try:
            reported = read_report(arrived, most_row_bytes=self._granted_bytes)
        except ReportError:
            self._loop.remove_reader(self._socket)
            self._on_report(self, None)
            return
        if reported is not None:
            arrived.release()
            self._received = bytearray()
            self._on_report(self, reported)
        elif not self._received:
            self._received += arrived
