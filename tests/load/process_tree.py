"""What a process and all that it started use: processor time, memory, descriptors, threads. Linux.

A worker counts from its fork to its end; the processor time of those that ended is in their
parent's account.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_PROC = Path("/proc")
_SAMPLE_SECONDS = 0.02
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """One look at a process tree."""

    processes: int
    threads: int
    descriptors: int
    pss_bytes: int
    """Resident, with pages that n processes share counted as 1/n in each."""


def pids(root: int) -> list[int]:
    """The process, its descendants, and orphans that stayed in its session."""
    parents, session = {}, set()
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            parents[int(entry.name)] = int(fields[1])
            if int(fields[3]) == root:
                session.add(int(entry.name))
    found = {root} | session
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found & parents.keys())


def cpu_seconds(root: int) -> float:
    """User and system time of the tree since it started; reaped children are in it."""
    ticks = 0
    for pid in pids(root):
        if fields := _stat(pid):
            ticks += sum(int(each) for each in fields[11:15])  # utime stime cutime cstime
    return ticks / _TICKS_PER_SECOND


def memory_bytes(root: int) -> int:
    """Proportional resident memory of the tree."""
    return sum(_pss_bytes(pid) for pid in pids(root))


def usage(root: int) -> Usage:
    found = pids(root)
    return Usage(
        processes=len(found),
        threads=sum(_count(pid, "task") for pid in found),
        descriptors=sum(_count(pid, "fd") for pid in found),
        pss_bytes=sum(_pss_bytes(pid) for pid in found),
    )


class PeakMemory:
    """`with PeakMemory(pid) as peak: ...; peak.bytes`: sampled, so short peaks may be higher."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.bytes = 0
        self.before_bytes = 0

    def __enter__(self) -> Self:
        self.before_bytes = self.bytes = memory_bytes(self._root)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        wait_seconds = _SAMPLE_SECONDS
        while not self._stopped.wait(wait_seconds):
            start = time.perf_counter()
            self.bytes = max(self.bytes, memory_bytes(self._root))
            # Walking the pages of a gigabyte takes the kernel milliseconds: a tenth at most.
            wait_seconds = max(_SAMPLE_SECONDS, 9 * (time.perf_counter() - start))


def settled_memory_bytes(root: int, *, below_bytes: float, seconds: float) -> int:
    """Memory once it is below a bound, or what it is when the time is over."""
    end = time.monotonic() + seconds
    while (now := memory_bytes(root)) > below_bytes and time.monotonic() < end:
        time.sleep(0.2)
    return now


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when the process is gone."""
    with suppress(OSError):
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return []


def _count(pid: int, folder: str) -> int:
    with suppress(OSError):
        return sum(1 for _ in (_PROC / str(pid) / folder).iterdir())
    return 0


def _pss_bytes(pid: int) -> int:
    with suppress(OSError):  # gone, or a zombie
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
