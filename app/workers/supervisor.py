"""Starts the workers, replaces those that end, sums what they count, and stops them all.

    spawn ──► serving ──ends by itself──► pause ──► spawn ...    too many: stop, exit code 1
                 │
                 └──SIGTERM/SIGINT: stop──► draining ──► gone, exit code 0
                                                  └─ a second signal, or too late: SIGKILL

It serves nothing itself. A worker takes the supervisor's end, however it comes, as the word to
drain; signals of a terminal reach the supervisor alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.access.debts import new_shared_memory
from app.log import get_logger
from app.metrics.supervisor import SupervisorMetrics
from app.settings.gateway import Settings
from app.workers.line import Line, LineClosedError
from app.workers.listeners import bind
from app.workers.member import ACCOUNT, FAREWELL, METRICS
from app.workers.part import Part
from app.workers.restarts import Restarts
from app.workers.totals import Account, Totals

GAVE_UP: Final = 1
_START_FAILURES: Final = (2, 3)
"""Exit codes by which a worker says what no restart mends: settings, ports."""
_ANSWER_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 5.0
SILENCE_SECONDS = 60.0
"""An event loop that does not turn for so long does not turn again."""
_GRACE_SECONDS: Final = 5.0
"""Beyond the time for draining, for what a worker does before and after."""
_PACKAGE: Final = __name__.rpartition(".")[0].rpartition(".")[0]
_WORKER_MODULE: Final = f"{_PACKAGE}.worker"
_ROOT: Final = Path(__file__).resolve().parents[_WORKER_MODULE.count(".") + 1]


@dataclass(slots=True, eq=False)
class _Worker:
    """One process."""

    serial: int
    """Never used again, unlike its number."""
    process: asyncio.subprocess.Process
    line: Line
    started_at: float = field(default_factory=time.monotonic)


class Supervisor:
    """One run."""

    def __init__(self, settings: Settings, options: dict[str, Any]) -> None:
        """Bind the ports.

        Args:
            settings: for all workers together.
            options: of the command line, as `load_settings` takes them; workers read them again.

        Raises:
            PortError: one cannot be opened.
        """
        self._settings = settings
        self._options = {name: value for name, value in options.items() if value is not None}
        self._ports = bind(settings.host, settings.port, "GATEWAY_PORT")
        self._admin_ports: list[socket.socket] = []
        if settings.admin_port is not None:
            host = settings.admin_host or settings.host
            self._admin_ports = bind(host, settings.admin_port, "GATEWAY_ADMIN_PORT")
        self._debts = new_shared_memory()
        self._log = get_logger()
        self._started_at = time.monotonic()
        self._workers: set[_Worker] = set()
        self._serial = 0
        self._totals = Totals()
        self._metrics = SupervisorMetrics(lambda: len(self._workers))
        self._restarts = Restarts()
        self._stopping = asyncio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        """Serve until a signal, or until there is no sense in it; returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        numbers = range(1, self._settings.workers + 1)
        await asyncio.gather(*(self._keep(number) for number in numbers))
        return self._exit_code

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stopping.is_set():
            self._kill()
            return
        self._log.info("draining", signal=number.name, workers=len(self._workers))
        self._stop()

    def _stop(self) -> None:
        """Take no new connections once the workers do not, and let them finish."""
        self._stopping.set()
        for each in (*self._ports, *self._admin_ports):
            each.close()
        for worker in self._workers:
            worker.line.stop()
        settings = self._settings
        patience = settings.drain_delay_seconds + settings.drain_timeout_seconds + _GRACE_SECONDS
        asyncio.get_running_loop().call_later(patience, self._kill)

    def _kill(self) -> None:
        for worker in self._workers:
            if worker.process.returncode is None:
                worker.process.kill()

    async def _keep(self, number: int) -> None:
        """Have a worker of this number until the end."""
        is_replacement = False
        while not self._stopping.is_set():
            worker = await self._start(number, is_replacement=is_replacement)
            exit_code = await self._until_it_ends(worker)
            if self._stopping.is_set():
                return
            if exit_code in _START_FAILURES and not is_replacement:
                self._give_up(exit_code)  # it has said why
                return
            is_replacement = True
            await self._pause(number, worker, exit_code)

    async def _start(self, number: int, *, is_replacement: bool) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            part = Part(
                number=number,
                line=theirs.fileno(),
                ports=[each.fileno() for each in self._ports],
                debts=self._debts,
                admin_ports=[each.fileno() for each in self._admin_ports],
                is_replacement=is_replacement,
                options=self._options,
            )
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                _WORKER_MODULE,
                part.to_json(),
                stdin=asyncio.subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": _python_path()},
                pass_fds=part.descriptors,
                process_group=0,  # a terminal's Ctrl-C is for the supervisor
            )
        self._serial += 1
        serial = self._serial

        async def answer(question: bytes) -> bytes:
            return await self._answer(serial, question)

        worker = _Worker(serial, process, await Line.over(ours, answer))
        self._workers.add(worker)
        if self._stopping.is_set():  # while it was started
            worker.line.stop()
        return worker

    async def _until_it_ends(self, worker: _Worker) -> int:
        watch = asyncio.create_task(self._watch(worker))
        await worker.line.run()
        watch.cancel()
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                exit_code = await worker.process.wait()
        except TimeoutError:  # it has let go of the line, and does not end
            worker.process.kill()
            exit_code = await worker.process.wait()
        self._workers.discard(worker)
        self._totals.ended(worker.serial)
        return exit_code

    async def _watch(self, worker: _Worker) -> None:
        """Kill it when it says nothing any more: a probe of the port would ask another one.

        What it has counted up to now is known, too, should it end.
        """
        with suppress(LineClosedError):
            await worker.line.ask(ACCOUNT)  # however long it takes to start
            while True:
                try:
                    async with asyncio.timeout(SILENCE_SECONDS):
                        self._totals.heard(worker.serial, await _account(worker))
                except TimeoutError:
                    self._log.error("worker hangs", pid=worker.process.pid)
                    worker.process.kill()
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    async def _pause(self, number: int, worker: _Worker, exit_code: int) -> None:
        """Wait for as long as it is wise, or give up."""
        now = time.monotonic()
        pause = self._restarts.pause(now, now - worker.started_at)
        self._log.error(
            "worker ended",
            worker=number,
            pid=worker.process.pid,
            exit_code=exit_code,
            detail="too many of them: giving up" if pause is None else "another one is started",
        )
        if pause is None:
            self._give_up(GAVE_UP)
            return
        self._metrics.restarted()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()

    def _give_up(self, exit_code: int) -> None:
        if not self._stopping.is_set():
            self._exit_code = exit_code
            self._stop()

    async def _answer(self, serial: int, question: bytes) -> bytes:
        """A worker asks for the whole, or says goodbye."""
        if question.startswith(FAREWELL):
            self._totals.heard(serial, Account.read(question.removeprefix(FAREWELL)))
            return b""
        await asyncio.gather(*(self._hear(worker) for worker in self._workers))
        if question == METRICS:
            return self._totals.metrics(self._metrics.exposition())
        return self._totals.figures(time.monotonic() - self._started_at).to_json().encode()

    async def _hear(self, worker: _Worker) -> None:
        """What a worker has counted; what it said last where it does not answer in time."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                account = await _account(worker)
        except (LineClosedError, TimeoutError):
            return
        if worker in self._workers:
            self._totals.heard(worker.serial, account)


async def _account(worker: _Worker) -> Account:
    return Account.read(await worker.line.ask(ACCOUNT))


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
