"""The gateway's side of the zygote: starts it, again whenever it ends, and passes commands on."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol

from app.decode.bounds import Bounds
from app.decode.frames import COMMAND, EVENT, Command, Event
from app.decode.limits import cpu_seconds_of

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 5.0
_ENDING_SECONDS: Final = 1.0
_PACKAGE: Final = __name__.rpartition(".")[0]
_ROOT: Final = Path(__file__).resolve().parents[_PACKAGE.count(".") + 1]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker process ended."""

    exit_code: int
    """Negative: the number of the signal."""
    cpu_seconds: float
    peak_bytes: int


class Guardian(Protocol):
    """Who is told what becomes of the workers."""

    def zygote_ready(self) -> None:
        """Workers can be had from now on."""
        ...

    def worker_ended(self, number: int, ending: Ending) -> None:
        """A worker process is gone."""
        ...

    def zygote_lost(self) -> None:
        """The zygote ended, and every worker with it."""
        ...


class Nursery:
    """One zygote, kept alive."""

    def __init__(self, bounds: Bounds, guardian: Guardian) -> None:
        self._bounds = bounds
        self._guardian = guardian
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._received = b""
        self._pause = _FIRST_PAUSE_SECONDS
        self._restart: asyncio.TimerHandle | None = None
        self.pids: dict[int, int] = {}
        """Process ids of workers by number, for people who watch."""

    @property
    def is_running(self) -> bool:
        """Whether workers can be had."""
        return self._control is not None

    @property
    def zygote_pid(self) -> int | None:
        """The zygote's process id while it runs."""
        return None if self._process is None else self._process.pid

    def cpu_seconds(self, number: int) -> float | None:
        """CPU that a worker has used in its life, 0 before it starts; None where nobody knows."""
        pid = self.pids.get(number)
        return 0.0 if pid is None else cpu_seconds_of(pid)

    def start(self) -> None:
        """Start the zygote; it takes a quarter of a second, and commands may be given at once."""
        self._restart = None
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        with theirs:
            arguments = (str(theirs.fileno()), json.dumps(asdict(self._bounds)))
            try:
                self._process = subprocess.Popen(  # noqa: S603 - ourselves
                    [sys.executable, "-m", f"{_PACKAGE}.zygote", *arguments],
                    env={**os.environ, "PYTHONPATH": path},
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                )
            except OSError:  # no memory, no processes left: perhaps later
                ours.close()
                self._start_later()
                return
        self._control, self._received = ours, b""
        asyncio.get_running_loop().add_reader(ours, self._read)
        self._guardian.zygote_ready()

    def spawn(self, number: int, theirs: socket.socket) -> None:
        """Have a worker forked that talks over this socket, which is closed here."""
        with theirs:
            if self._control is not None:
                message = COMMAND.pack(Command.SPAWN, number)
                with suppress(OSError):  # it is gone: `zygote_lost` follows
                    socket.send_fds(self._control, [message], [theirs.fileno()])

    def kill(self, number: int) -> None:
        """Kill a worker at once; `worker_ended` follows."""
        self._command(Command.KILL, number)

    def let_others_go_first(self, number: int) -> None:
        """Lower a worker's priority for the rest of its life."""
        self._command(Command.YIELD, number)

    def close(self) -> None:
        """End the zygote and, with it, all workers, whatever they are doing."""
        if self._restart is not None:
            self._restart.cancel()
        self._disconnect()

    def _command(self, command: Command, number: int) -> None:
        if self._control is not None:
            with suppress(OSError):
                self._control.send(COMMAND.pack(command, number))

    def _read(self) -> None:
        if self._control is None:
            return
        try:
            received = self._control.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._lost()
            return
        self._pause = _FIRST_PAUSE_SECONDS  # it lives
        received = self._received + received
        whole = len(received) - len(received) % EVENT.size
        self._received = received[whole:]
        for event, number, value, cpu, peak in EVENT.iter_unpack(received[:whole]):
            if event == Event.STARTED:
                self.pids[number] = value
            else:
                self.pids.pop(number, None)
                self._guardian.worker_ended(number, Ending(value, cpu / 1000, peak))

    def _lost(self) -> None:
        self._disconnect()
        self._guardian.zygote_lost()
        self._start_later()

    def _start_later(self) -> None:
        self._restart = asyncio.get_running_loop().call_later(self._pause, self.start)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)

    def _disconnect(self) -> None:
        self.pids.clear()
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(_ENDING_SECONDS)
            except subprocess.TimeoutExpired:  # stopped by somebody: it cannot notice
                self._process.kill()
                self._process.wait()
            self._process = None
