"""Processor, memory and disk, against what serving needs."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sightserve.doctor.report import GIGABYTE, MEGABYTE, Finding, ok, problem, size, warning
from sightserve.doctor.surroundings import Surroundings

_LEAST_MEMORY: Final = 1 * GIGABYTE
"""Gateway (0.12 GB) and embedded model server with the smallest model."""
_EXPORT_MEMORY: Final = 2 * GIGABYTE
"""What an export takes at least, TensorFlow included."""
_LEAST_DISK: Final = 50 * MEGABYTE
_ENOUGH_DISK: Final = 1 * GIGABYTE
_NO_LIMIT: Final = 1 << 60
"""cgroup v1 writes a number near 2^63 for none."""


def check_processor(surroundings: Surroundings) -> Iterator[Finding]:
    """Instruction sets, and what they mean for speed."""
    flags, model = _cpu(surroundings.root)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = f"{model or platform.processor() or platform.machine()}, {cores} cores"
    if not flags:
        yield ok("processor", f"{found}; its instruction sets are not listed here")
        return
    sets = {
        "AVX": "avx" in flags,
        "AVX2": "avx2" in flags,
        "AVX-512": "avx512f" in flags,
        "AMX": "amx_tile" in flags,
    }
    is_x86 = "sse2" in flags
    if is_x86 and not sets["AVX"]:
        yield problem(
            "processor",
            f"{found}: no AVX, without which TensorFlow's wheels end with SIGILL",
            "use a newer machine, or in a virtual one pass the host's CPU through",
        )
    elif is_x86 and not sets["AVX2"]:
        yield warning(
            "processor",
            f"{found}: no AVX2, so convolutions take two to four times as long",
            "use a newer machine, or in a virtual one pass the host's CPU through",
        )
    else:
        has = ", ".join(name for name, is_there in sets.items() if is_there) or "NEON"
        bfloat16 = (
            "bfloat16 is computed in hardware (try --precision bfloat16)"
            if flags & {"avx512_bf16", "amx_bf16", "bf16"}
            else "bfloat16 is emulated: leave --precision float32"
        )
        yield ok("processor", f"{found}: {has}; {bfloat16}")


def _cpu(root: Path) -> tuple[frozenset[str], str]:
    """Flags and model name by /proc/cpuinfo; empty where there is none."""
    flags: frozenset[str] = frozenset()
    model = ""
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"flags", "Features"} and not flags:
            flags = frozenset(value.split())
        elif key.strip() == "model name" and not model:
            model = value.strip()
    return flags, model


def check_memory(surroundings: Surroundings) -> Iterator[Finding]:
    """What is there and free, and the container's limit."""
    root = surroundings.root
    lines = (line.split() for line in _read(root / "proc/meminfo").splitlines())
    meminfo = {words[0]: int(words[1]) * 1024 for words in lines if len(words) > 1}
    if "MemTotal:" not in meminfo:
        yield ok("memory", "this system does not say how much it has")
        return
    total = meminfo["MemTotal:"]
    usable = meminfo.get("MemAvailable:", total)
    found = f"{size(total)}, {size(usable)} available"
    fix = "end other programs, or take a larger machine"
    limit = _limit(root)
    if limit is not None and limit[0] < total:
        found += f"; the container's limit is {size(limit[0])}, {size(limit[1])} used"
        usable = min(usable, max(0, limit[0] - limit[1]))
        fix = "raise the container's limit: docker run --memory 4g, or resources.limits.memory"
    if usable < _LEAST_MEMORY:
        yield problem("memory", f"{found}: gateway and model server need 1 GB at least", fix)
    elif usable < _EXPORT_MEMORY:
        yield warning("memory", f"{found}: enough to serve, an export needs 2 GB", fix)
    else:
        yield ok("memory", found)


def _limit(root: Path) -> tuple[int, int] | None:
    """The tightest limit of a control group and its use in bytes; None: there is none."""
    found = []
    for folder in _groups(root):
        for limit_file, used_file in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = _read(folder / limit_file).strip(), _read(folder / used_file).strip()
            if limit.isdigit() and int(limit) < _NO_LIMIT:
                found.append((int(limit), _used(folder, int(used) if used.isdigit() else 0)))
    return min(found, key=lambda each: each[0] - each[1], default=None)


def _used(folder: Path, current: int) -> int:
    """Without the page cache, which the kernel gives back."""
    words = (line.split() for line in _read(folder / "memory.stat").splitlines())
    stat = {each[0]: int(each[1]) for each in words if len(each) == 2}  # noqa: PLR2004 - name, value
    cached = stat.get("inactive_file", 0) + stat.get("active_file", 0)
    return max(0, current - cached)


def _groups(root: Path) -> Iterator[Path]:
    """Our control group and those above it, of version 2 and 1."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in {"", "memory"}:
            continue
        mount = root / "sys/fs/cgroup" / controllers
        yield mount  # a container sees its own group there
        folder = mount
        for part in Path(path.lstrip("/")).parts:
            folder /= part
            yield folder


def check_disk(surroundings: Surroundings) -> Iterator[Finding]:
    """Whether the models' volume can be written and has room."""
    folder = surroundings.base_path.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield problem("disk", f"{folder}: {error.strerror}", "choose another --base-path")
        return
    found = f"{size(free)} free at {folder}"
    if not os.access(folder, os.W_OK):
        yield warning(
            "disk",
            f"{folder} is read-only: it can be served, and nothing published there",
            "mount it writable, or choose another --base-path",
        )
    elif free < _LEAST_DISK:
        yield problem("disk", found, "delete old versions: sightserve export prune NAME --keep 2")
    elif free < _ENOUGH_DISK:
        yield warning("disk", f"{found}: room for small models only", "make room before exporting")
    else:
        yield ok("disk", found)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
