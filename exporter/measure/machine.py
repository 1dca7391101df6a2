"""What the figures were measured on: a latency without its machine says nothing."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, Final

_CPUINFO: Final = Path("/proc/cpuinfo")
_BFLOAT16_FLAGS: Final = {"avx512_bf16", "amx_bf16", "bf16"}  # the last one is Arm's
_PACKAGES: Final = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "keras": ("keras",),
    "numpy": ("numpy",),
}


def describe() -> dict[str, Any]:
    """CPU, cores, memory and versions, for people and for JSON; needs no TensorFlow."""
    cpuinfo = _cpuinfo()
    return {
        "cpu": cpuinfo.get("model name") or platform.processor() or platform.machine(),
        "cores": _usable_cores(),
        "has_bfloat16": has_bfloat16(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: _version(packages) for name, packages in _PACKAGES.items()},
    }


def has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself; else it is emulated, and rarely faster."""
    flags = _cpuinfo()
    return bool(
        _BFLOAT16_FLAGS & {*flags.get("flags", "").split(), *flags.get("Features", "").split()}
    )


def _usable_cores() -> int:
    """Those that this process may run on: a container often has fewer than the machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _cpuinfo() -> dict[str, str]:
    """The lines of the first processor."""
    try:
        text = _CPUINFO.read_text(encoding="utf-8")
    except OSError:  # not Linux
        return {}
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _version(packages: tuple[str, ...]) -> str | None:
    """Of the first of several distributions of one thing that is installed."""
    for package in packages:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return None
