"""Where and with what it was measured."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from bench.race.contenders import CORES
from bench.race.processes import ROOT

_TELLING = (
    "avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16",
    "amx_int8",
)  # fmt: skip
_PACKAGES = (
    "fastapi", "grpcio", "httptools", "keras", "litserve", "numpy", "openvino", "pillow",
    "requests", "starlette", "tensorflow", "tensorflow-cpu", "tensorflow-serving-api", "uvicorn",
    "uvloop",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Processor, memory, system and what else it was doing."""
    found: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            found.setdefault(name.strip(), value.strip())
    flags = set(found.get("flags", "").split())
    return {
        "cpu": found.get("model name") or platform.processor(),
        "family_model_stepping": [
            found.get(name, "") for name in ("cpu family", "model", "stepping")
        ],
        "flags": [each for each in _TELLING if each in flags],
        "cores": CORES,
        "memory_mb": round(psutil.virtual_memory().total / 1e6),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
        "cpu_busy_percent": psutil.cpu_percent(1.0),
    }


def versions() -> dict[str, str]:
    """Of what is installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def revision() -> str:
    """The git revision; with a + if files have been changed since."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return git("rev-parse", "--short=12", "HEAD") + "+" * bool(git("status", "--porcelain"))


def now() -> str:
    """In UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
