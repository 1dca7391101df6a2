"""Small, full and read-only volumes, and other users: only root has them, others skip."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.progress import SilentReporter
from exporter.store.volume import free_bytes

NOBODY = 65534


def require_root() -> None:
    """Skip where nobody can become another user or mount anything."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it mounts volumes or runs as another user")


@contextmanager
def mounted(path: Path, options: str) -> Iterator[Path]:
    """A tmpfs with these options at a new folder; skips where mounting is not allowed."""
    require_root()
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tmpfs may be mounted here: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


class FillingReporter(SilentReporter):
    """Leaves only so many bytes on the volume once a step begins."""

    def __init__(self, volume: Path, step: str, left_bytes: int) -> None:
        self._volume = volume
        self._step = step
        self._left_bytes = left_bytes

    def step(self, text: str) -> None:
        if text == self._step:
            fill = b"0" * (free_bytes(self._volume) - self._left_bytes)
            (self._volume / "filled").write_bytes(fill)
