"""How much memory there is, how much an export takes, and giving back what was freed."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path
from typing import Final

from exporter.errors import FailedError
from exporter.progress import Reporter

PEAK_WEIGHTS: Final = 6
PEAK_FIXED_BYTES: Final = 2_000_000_000
"""Measured on Keras' applications (docs/applications.md): exporter and the gate's model server
together stay below so many times the weights, and this for TensorFlow and the activations."""
_LEAST_WEIGHTS: Final = 4
_LEAST_FIXED_BYTES: Final = 400_000_000
"""What no export gets by with less."""

_CGROUP: Final = Path("/sys/fs/cgroup")
_NO_LIMIT: Final = 1 << 60


def require_memory(weight_bytes: int, report: Reporter, limit: int | None) -> None:
    """Refuse what there is no memory for, and say what there may be too little for.

    The kernel kills without words, and late.

    Args:
        weight_bytes: the network's.
        report: told when only the worst case would not fit.
        limit: bytes that machine and container have; None: nobody knows.

    Raises:
        FailedError: it cannot fit; with the figures.
    """
    if limit is None:
        return
    least = _LEAST_WEIGHTS * weight_bytes + _LEAST_FIXED_BYTES
    most = PEAK_WEIGHTS * weight_bytes + PEAK_FIXED_BYTES
    weights, there_are = (
        f"{weight_bytes / 1e6:.0f} MB of weights",
        f"there are {limit / 1e9:.1f} GB",
    )
    if least > limit:
        raise FailedError(
            f"{weights} need between {least / 1e9:.1f} and {most / 1e9:.1f} GB to be exported and "
            f"proven, and {there_are}; give the container or the machine more"
        )
    if most > limit:
        report.note(f"{weights} may need up to {most / 1e9:.1f} GB, and {there_are}")


def memory_limit_bytes(root: Path = _CGROUP, meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """The container's limit, or the machine's memory; None where neither can be read."""
    limits = [
        _read_limit(root / "memory.max"),
        _read_limit(root / "memory" / "memory.limit_in_bytes"),
        _total(meminfo),
    ]
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def give_back() -> None:
    """Collect Python's garbage, then have glibc return free pages to the system."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _read_limit(path: Path) -> int | None:
    try:
        limit = int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max" is no limit
        return None
    return limit if limit < _NO_LIMIT else None


def _total(meminfo: Path) -> int | None:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemTotal:")), None)
    return int(kilobytes) * 1024 if kilobytes else None
