"""What files are compared by."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final

_INLINE_BYTES: Final = 128_000
"""SHA-256 of so many bytes takes 0.1 ms; of more it is made in a thread, without the GIL."""


async def sha256(data: bytes) -> bytes:
    """The digest of a file; a large one does not hold the event loop up."""
    if len(data) <= _INLINE_BYTES:
        return hashlib.sha256(data).digest()
    return await asyncio.to_thread(lambda: hashlib.sha256(data).digest())
