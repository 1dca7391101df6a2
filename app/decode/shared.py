"""Memory that the gateway and one worker both see: a file lies there for the worker, a row comes back.

    │ file, 256 kB │ row, 768 kB │

Through a socket each takes two copies by the kernel, and as many system calls as it has buffers.
What does not fit still goes through the socket, and so does everything where the system has no such
memory. Pages that were never used take none; a model of 224 x 224 pixels uses 150 kB for its rows.

The worker may be in a stranger's hands: lengths come by the socket and are checked there, the
content may be any bytes in either case, and it is copied before it is used. The size is sealed, or
the gateway would end with SIGBUS where the worker has cut the memory short.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import Final

_FILE_BYTES: Final = 256 << 10
_ROW_BYTES: Final = 768 << 10
_BYTES: Final = _FILE_BYTES + _ROW_BYTES


class SharedMemory:
    """One process's view of it; at any time it belongs to one of the two, by turns."""

    def __init__(self, descriptor: int) -> None:
        """See the memory behind the descriptor, which stays the caller's."""
        self._memory = mmap.mmap(descriptor, _BYTES)

    def put_file(self, data: bytes) -> bool:
        """Write a file there; False if it is too long."""
        if len(data) > _FILE_BYTES:
            return False
        self._memory[: len(data)] = data
        return True

    def file(self, length: int) -> bytes:
        """The file."""
        return self._memory[:length]

    def put_row(self, row: bytes) -> bool:
        """Write a row there; False if it is too long."""
        if len(row) > _ROW_BYTES:
            return False
        self._memory[_FILE_BYTES : _FILE_BYTES + len(row)] = row
        return True

    def row(self, length: int) -> bytes | None:
        """The row; None where there cannot be so long a one."""
        if length > _ROW_BYTES:
            return None
        return self._memory[_FILE_BYTES : _FILE_BYTES + length]

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
