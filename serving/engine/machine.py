"""What this machine has: cores that are ours, their name, and whether they know bfloat16."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import Final

_BFLOAT16_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # the last one: Arm's
_CPU_INFO: Final = Path("/proc/cpuinfo")
_CPU_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
_CORES_PER_STREAM: Final = 4


def cores() -> int:
    """How many this process may use: its affinity, and its container's quota rounded up."""
    affinity = getattr(os, "sched_getaffinity", None)
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(allowed, _quota() or allowed))


def streams(threads: int) -> int:
    """How many requests run at a time by default.

    Threads of one request share its work, so that a lone one is fast; beyond four they mostly wait
    for each other.
    """
    return max(1, threads // _CORES_PER_STREAM)


@functools.cache
def has_bfloat16() -> bool:
    """Whether the processor computes in bfloat16; elsewhere it is emulated, and slower."""
    return bool(_BFLOAT16_FLAGS & set(_cpu_info("flags", "Features").split()))


@functools.cache
def processor() -> str:
    """Its name, to tell machines apart."""
    return _cpu_info("model name", "CPU part") or "unknown"


def _cpu_info(*keys: str) -> str:
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in pairs if key.strip() in keys), "")


def _quota() -> int | None:
    try:
        allowed, period = _CPU_QUOTA.read_text(encoding="ascii").split()
        return None if allowed == "max" else math.ceil(int(allowed) / int(period))
    except (OSError, ValueError):
        return None
