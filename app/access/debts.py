"""When each client's bucket is full again: in this process, or in memory that several share."""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import struct
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import Final, Protocol


class Debts(Protocol):
    """Seconds of the monotonic clock by client; who is not known owes nothing."""

    def full_at(self, client: str) -> float:
        """When the client's bucket is full again; 0: it is."""
        ...

    def add(self, client: str, now: float, seconds: float) -> None:
        """Let it be full so much later, counted from now where it is full."""
        ...

    def __len__(self) -> int:
        """Clients that are remembered."""
        ...


class OwnDebts:
    """This process's; at the limit who paid longest ago is forgotten."""

    def __init__(self, max_clients: int) -> None:
        self._max_clients = max_clients
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def full_at(self, client: str) -> float:
        """See `Debts`."""
        return self._full_at.get(client, 0.0)

    def add(self, client: str, now: float, seconds: float) -> None:
        """See `Debts`."""
        self._full_at[client] = max(now, self.full_at(client)) + seconds
        self._full_at.move_to_end(client)
        while len(self._full_at) > self._max_clients:
            self._full_at.popitem(last=False)


_SLOT: Final = struct.Struct("=Qd")
"""A client's fingerprint, 0 where there is none, and its time."""
_WAYS: Final = 8
_ROW_BYTES: Final = _WAYS * _SLOT.size
_ROWS: Final = 1 << 14
_SECRET_BYTES: Final = _ROW_BYTES
"""At the start of the memory: nobody outside can aim at somebody's row."""


def new_shared_memory() -> int:
    """Memory for the debts of 131,072 clients, 2 MB where all of it is used; a descriptor of it."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("gateway-debts")
    else:
        with tempfile.TemporaryFile() as file:  # it has no name, and goes with its descriptors
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, _SECRET_BYTES + _ROWS * _ROW_BYTES)
    os.pwrite(descriptor, secrets.token_bytes(32), 0)
    return descriptor


class SharedDebts:
    """Those of all processes that inherit the memory, in rows of eight.

    In a full row who is out of debt first makes room: as a rule one who owes nothing.
    """

    def __init__(self, descriptor: int, kind: str) -> None:
        """Map the memory; different kinds of client are different clients."""
        self._descriptor = descriptor
        self._memory = mmap.mmap(descriptor, _SECRET_BYTES + _ROWS * _ROW_BYTES)
        self._key = self._memory[:32]
        self._kind = kind.encode()[: blake2b.PERSON_SIZE]

    def __len__(self) -> int:
        slots = range(_SECRET_BYTES, len(self._memory), _SLOT.size)
        return sum(_SLOT.unpack_from(self._memory, slot)[0] != 0 for slot in slots)

    def full_at(self, client: str) -> float:
        """See `Debts`."""
        fingerprint, row = self._place(client)
        with self._locked(row):
            return self._find(fingerprint, row)[1]

    def add(self, client: str, now: float, seconds: float) -> None:
        """See `Debts`."""
        fingerprint, row = self._place(client)
        with self._locked(row):
            slot, full_at = self._find(fingerprint, row)
            _SLOT.pack_into(self._memory, slot, fingerprint, max(now, full_at) + seconds)

    def _place(self, client: str) -> tuple[int, int]:
        """The fingerprint of a client, and where its row begins."""
        digest = blake2b(client.encode(), digest_size=12, key=self._key, person=self._kind).digest()
        row = int.from_bytes(digest[8:]) % _ROWS
        return int.from_bytes(digest[:8]) or 1, _SECRET_BYTES + row * _ROW_BYTES

    def _find(self, fingerprint: int, row: int) -> tuple[int, float]:
        """The client's slot and time; of an unknown one the slot to take, and 0."""
        best, earliest = row, float("inf")
        for slot in range(row, row + _ROW_BYTES, _SLOT.size):
            known, full_at = _SLOT.unpack_from(self._memory, slot)
            if known == fingerprint:
                return slot, full_at
            if full_at < earliest:
                best, earliest = slot, full_at
        return best, 0.0

    @contextmanager
    def _locked(self, row: int) -> Iterator[None]:
        """For some microseconds; the system unlocks what a process held that has ended."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, _ROW_BYTES, row)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, _ROW_BYTES, row)
