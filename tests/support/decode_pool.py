"""A pool of real worker processes in the running event loop, and what to ask it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.decode.bounds import Bounds
from app.decode.job import Decoded
from app.decode.plan import Plan, Rendering
from app.decode.pool import DecodePool, PoolLimits

PLAN = Plan(
    Rendering(
        224, 224, "stretch", 0.875, "bilinear", antialias=True, exif=True, background=(255,) * 3
    ),
    "content",
)
MAX_IMAGE_BYTES = 400_000_000
MEMORY_BYTES = 512_000_000


@dataclass
class PoolBench:
    """A pool, what it has logged, and the reasons for which it has killed."""

    pool: DecodePool
    log: list[dict[str, Any]] = field(default_factory=list)
    kills: list[str] = field(default_factory=list)

    async def decode(self, data: bytes, *, client: str = "", seconds: float = 30.0) -> Decoded:
        deadline = time.monotonic() + seconds
        return await self.pool.decode(data, PLAN.to_bytes(), deadline=deadline, client=client)

    def resident_bytes(self) -> int:
        """Of all processes together, each page counted once."""
        return sum(_proportional_bytes(pid) for pid in self.pool.pids)


@asynccontextmanager
async def running_pool(
    *, workers: int = 2, timeout_seconds: float = 5.0, memory_bytes: int = MEMORY_BYTES
) -> AsyncIterator[PoolBench]:
    log: list[dict[str, Any]] = []
    kills: list[str] = []

    class Observer:
        def decode_killed(self, reason: str) -> None:
            kills.append(reason)

    pool = DecodePool(
        PoolLimits(workers, memory_bytes),
        Bounds(64_000_000, MAX_IMAGE_BYTES, timeout_seconds),
        clock=time.monotonic,
        log=lambda event, **facts: log.append({"event": event, **facts}),
        observer=Observer(),
    )
    pool.start()
    try:
        yield PoolBench(pool, log, kills)
    finally:
        pool.close()


def _proportional_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # it has ended
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
