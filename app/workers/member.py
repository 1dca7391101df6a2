"""A worker's end of the line: it answers for itself, asks for the whole, and hears when to stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from app.access.debts import SharedDebts
from app.errors import GatewayError
from app.figures import Figures
from app.workers.line import Line, LineClosedError
from app.workers.part import Part, sockets_of
from app.workers.totals import written

ACCOUNT: Final = b"account"
METRICS: Final = b"metrics"
FIGURES: Final = b"figures"
FAREWELL: Final = b"farewell "
_PATIENCE_SECONDS: Final = 3.0
"""The supervisor asks every worker, and waits a second for those that are busy."""


class Member:
    """This process among several."""

    def __init__(self, part: Part) -> None:
        """Take over the inherited sockets."""
        self.number = part.number
        self.is_replacement = part.is_replacement
        self.ports = sockets_of(part.ports)
        self.admin_ports = sockets_of(part.admin_ports)
        self._end = socket.socket(fileno=part.line)
        self._debts = part.debts
        self._line: Line | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._account: Callable[[], tuple[str, Figures]] = lambda: ("", Figures())

    async def join(
        self, account: Callable[[], tuple[str, Figures]], on_stop: Callable[[], None]
    ) -> None:
        """Open the line.

        Args:
            account: this worker's own metrics and figures.
            on_stop: told when the supervisor says so, or has ended.
        """
        self._account = account
        self._line = await Line.over(self._end, self._answer)
        self._tasks = [
            asyncio.create_task(self._line.run()),
            asyncio.create_task(self._tell_of_stop(self._line, on_stop)),
        ]

    def debts(self, kind: str) -> SharedDebts:
        """Where all workers count what clients owe to one kind of rate limit."""
        return SharedDebts(self._debts, kind)

    async def metrics(self) -> bytes:
        """The exposition of all workers.

        Raises:
            GatewayError: the supervisor does not answer.
        """
        return await self._ask(METRICS)

    async def figures(self) -> Figures:
        """The figures of all workers.

        Raises:
            GatewayError: the supervisor does not answer.
        """
        return Figures.from_json((await self._ask(FIGURES)).decode())

    async def leave(self) -> None:
        """Say what was counted to the end."""
        with suppress(GatewayError):
            await self._ask(FAREWELL + written(*self._account()))
        if self._line is not None:
            self._line.close()

    async def _answer(self, _: bytes) -> bytes:
        return written(*self._account())

    async def _ask(self, question: bytes) -> bytes:
        with suppress(LineClosedError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                if self._line is not None:
                    return await self._line.ask(question)
        raise GatewayError("the supervisor of the workers does not answer")

    @staticmethod
    async def _tell_of_stop(line: Line, on_stop: Callable[[], None]) -> None:
        await line.is_stop_asked.wait()
        on_stop()
