"""The process that workers are forked from: `python -m app.decode.zygote FD BOUNDS`.

It has loaded what decoding needs, once, and no thread runs in it, so that a worker is there in
milliseconds and shares these pages. The gateway itself must not fork: gRPC and uvloop run in it.

    gateway ──commands──► zygote ──fork──► worker, worker, ...
            ◄──events────        ◄──exit──
            ◄═══════ one socket per worker ═══════►

It ends when the gateway's end of the control socket closes, which the system sees to however the
gateway ends; workers end with it (PR_SET_PDEATHSIG). Being the workers' parent it kills them by
process ids that cannot mean anybody else yet.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from typing import Final

from app.decode.bounds import Bounds
from app.decode.frames import COMMAND, EVENT, Command, Event
from app.decode.limits import MemoryLimit, confine, die_with_parent, tame_malloc
from app.decode.worker import Worker

_PLUGINS: Final = ("Bmp", "Gif", "Jpeg", "Mpo", "Png", "Tiff", "WebP")
"""What the allowed formats need (Tiff reads EXIF): loaded before workers are confined."""
_NICE: Final = 10
_MILLISECONDS: Final = 1000


class Zygote:
    """Forks, kills and buries."""

    def __init__(self, control: socket.socket, bounds: Bounds) -> None:
        self._control = control
        self._bounds = bounds
        self._pids: dict[int, int] = {}
        self._deaths, self._wakeup = socket.socketpair()
        for end in (self._deaths, self._wakeup):
            end.settimeout(0)

    def run(self) -> None:
        """Obey until the gateway is gone."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._deaths, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._deaths:
                        self._bury()
                    elif not self._obey():
                        self._end()
                        return

    def _obey(self) -> bool:
        """Carry out one command; False when there will be no more."""
        message, descriptors = b"", list[int]()
        with suppress(ConnectionError):  # the gateway may have gone without reading our events
            message, descriptors, _, _ = socket.recv_fds(self._control, COMMAND.size, 1)
        if len(message) < COMMAND.size:
            return False
        command, number = COMMAND.unpack(message)
        if command == Command.SPAWN:
            self._spawn(number, socket.socket(fileno=descriptors[0]))
        elif (pid := self._pids.get(number)) is not None:
            if command == Command.KILL:
                os.kill(pid, signal.SIGKILL)
            else:
                with suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, pid, _NICE)
        return True

    def _end(self) -> None:
        signal.set_wakeup_fd(-1)
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)

    def _spawn(self, number: int, gateway: socket.socket) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:  # no processes left, or no memory: perhaps later
            gateway.close()
            self._tell(EVENT.pack(Event.ENDED, number, 1, 0, 0))
            return
        if pid == 0:
            self._be_worker(parent, gateway)
        gateway.close()
        self._pids[number] = pid
        self._tell(EVENT.pack(Event.STARTED, number, pid, 0, 0))

    def _be_worker(self, parent: int, gateway: socket.socket) -> None:
        """The child's life; it never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            die_with_parent(parent)
            for each in (self._control, self._deaths, self._wakeup):
                each.close()
            confine()
            Worker(gateway, self._bounds, MemoryLimit()).run()
            status = 0
        except (ConnectionError, MemoryError):
            status = 2  # the gateway is gone, or there was no memory left to say so
        finally:
            os._exit(status)

    def _bury(self) -> None:
        """Tell the gateway of every worker that has ended."""
        with suppress(BlockingIOError):
            while self._deaths.recv(4096):
                pass
        numbers = {pid: number for number, pid in self._pids.items()}
        while self._pids:
            pid, status, used = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            number = numbers[pid]
            del self._pids[number]
            ended = os.waitstatus_to_exitcode(status)
            cpu = round(_MILLISECONDS * (used.ru_utime + used.ru_stime))
            self._tell(EVENT.pack(Event.ENDED, number, ended, cpu, used.ru_maxrss * 1024))

    def _tell(self, event: bytes) -> None:
        with suppress(ConnectionError):
            self._control.sendall(event)


def main() -> None:
    """Load, then obey."""
    # A terminal's Ctrl-C and a service manager's SIGTERM reach the whole group: the gateway drains.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tame_malloc()
    for plugin in _PLUGINS:
        importlib.import_module(f"PIL.{plugin}ImagePlugin")
    gc.collect()
    gc.freeze()  # a collection in a worker would touch, and so copy, every shared page
    control = socket.socket(fileno=int(sys.argv[1]))
    Zygote(control, Bounds(**json.loads(sys.argv[2]))).run()


if __name__ == "__main__":
    main()
