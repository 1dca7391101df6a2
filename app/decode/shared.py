"""Memory that a worker and the gateway both see: there the worker leaves the row of a photo.

Through the socket a row takes a copy by the kernel on either side, and several system calls: 0.05
ms of the event loop for 224 x 224 pixels (measured; for the files on their way to the worker it
makes no difference). A longer row still goes through the socket, and so does every one where the
system has no such memory. Pages that were never used take none.

The worker may be in a stranger's hands: the length comes by the socket and is checked, the content
may be any bytes in either case, and it is copied before it is used. The size is sealed, or the
gateway would end with SIGBUS where a worker has cut the memory short.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import Final

_BYTES: Final = 1 << 20
"""512 x 512 pixels as bytes, 295 x 295 as floats."""


class SharedMemory:
    """One process's view of it: the worker's while it has a job, the gateway's after that."""

    def __init__(self, descriptor: int) -> None:
        """See the memory behind the descriptor, which stays the caller's."""
        self._memory = mmap.mmap(descriptor, _BYTES)

    def put_row(self, row: bytes) -> bool:
        """Write a row there; False if it is too long."""
        if len(row) > _BYTES:
            return False
        self._memory[: len(row)] = row
        return True

    def row(self, length: int) -> bytes | None:
        """The row; None where there cannot be so long a one."""
        return None if length > _BYTES else self._memory[:length]

    def close(self) -> None:
        """Let go of it."""
        self._memory.close()


def new_memory() -> int | None:
    """The descriptor of fresh shared memory; None where the system has none, or no more."""
    if sys.platform != "linux":
        return None
    import fcntl  # noqa: PLC0415 - its seals are Linux's

    try:
        descriptor = os.memfd_create("decode", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return None
    try:
        os.ftruncate(descriptor, _BYTES)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
