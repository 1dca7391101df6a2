"""What a worker process may take from the system: set by itself before it reads a stranger's byte.

Nothing here is needed on a system without it: each limit that the system does not know is skipped.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_CPUCLOCK_SCHED: Final = 2
_OPEN_FILES: Final = 16
_WORST_OOM_SCORE: Final = b"1000"

# glibc's mallopt parameters, from malloc.h
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_MMAP_THRESHOLD_BYTES: Final = 1 << 20
_M_TRIM_THRESHOLD: Final = -1
_M_TOP_PAD: Final = -2
_KEPT_BYTES: Final = 4 << 20
_PAD_BYTES: Final = 1 << 20


def tame_malloc() -> None:
    """Few malloc arenas, large blocks by mmap: decoded photos go back to the system at once.

    What one decode takes of the heap stays for the next one (8 MB at most): giving it back each
    time costs 60 to 250 page faults, 1 to 2 % of a request.

    Without it glibc raises its mmap threshold to the largest block ever freed (32 MB), so that one
    large photo costs memory for good.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # musl has none
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TOP_PAD, _PAD_BYTES)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent process ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


def confine() -> None:
    """No new files' bytes, no processes, no core dumps; the first to go when memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_WORST_OOM_SCORE)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_NPROC, 0)


class MemoryLimit:
    """A bound on the address space, in bytes above what the process has when this is made."""

    def __init__(self) -> None:
        self._base = _address_space_bytes()
        self._limit = 0

    def allow(self, more_bytes: int) -> None:
        """Let the process grow by so many bytes; allocations beyond raise MemoryError."""
        if self._base and more_bytes != self._limit:
            resource.setrlimit(resource.RLIMIT_AS, (self._base + more_bytes, -1))
            self._limit = more_bytes

    def lift(self) -> None:
        """Allow what it takes to say that memory ran out, and to end."""
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))


def cpu_seconds_of(pid: int) -> float | None:
    """CPU that another process has used; None where the system does not say, or it has ended."""
    if sys.platform != "linux":
        return None
    with suppress(OSError):
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)  # as clock_getcpuclockid(3) does
    return None


def limit_cpu(seconds: float) -> None:
    """The system ends the process after so many more seconds of CPU: a net below the parent's."""
    until = math.ceil(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, -1))


def _lower(what: int, limit: int) -> None:
    with suppress(OSError, ValueError):
        resource.setrlimit(what, (limit, limit))


def _address_space_bytes() -> int:
    """0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()
