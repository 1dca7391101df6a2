"""What the system lets this process have: CPUs and memory, by affinity and control group."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
_UNLIMITED_BYTES: Final = 1 << 60


def usable_cpus(cgroups: Path = CGROUPS) -> int:
    """CPUs that it may run on, or the quota of its container if that is less; at least one."""
    affinity = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = _cpu_quota(cgroups)
    return affinity if quota is None else max(1, min(affinity, math.ceil(quota)))


def _cpu_quota(cgroups: Path) -> float | None:
    """The container's share of time, in CPUs; None where there is no quota, or nobody says."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # version 2, 1
        with suppress(OSError, ValueError):
            text = " ".join((cgroups / name).read_text(encoding="ascii") for name in names)
            quota, period = text.split()
            return None if quota in {"max", "-1"} else int(quota) / int(period)
    return None


def memory_limit_bytes(cgroups: Path = CGROUPS) -> int | None:
    """The container's memory limit; None where there is none, or nobody says."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # version 2, version 1
        with suppress(OSError, ValueError):
            limit = int((cgroups / name).read_text(encoding="ascii"))
            return limit if limit < _UNLIMITED_BYTES else None
    return None
