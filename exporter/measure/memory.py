"""Peak memory of loading a model and asking it once, in a process of its own.

A process that measures itself would count what it did before. The figure is the kernel's VmHWM, not
`ru_maxrss`, which a child inherits from its parent.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from exporter.errors import FailedError, first_line
from exporter.measure.targets import find_target
from exporter.progress import SilentReporter
from exporter.settings import load_settings

_STATUS: Final = Path("/proc/self/status")
_TIMEOUT_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Peak:
    """Resident memory of a process in bytes."""

    imported: int
    """With TensorFlow imported and nothing loaded."""
    highest: int


def measure(
    text: str, base_path: Path, *, weights: str, timeout_seconds: float = _TIMEOUT_SECONDS
) -> Peak | None:
    """Load a target in a new process, ask it one batch of one; None where there is no /proc.

    Raises:
        FailedError: the process failed.
    """
    if not _STATUS.is_file():
        return None
    command = [sys.executable, "-m", __name__, text, str(base_path.resolve()), weights]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            command, capture_output=True, text=True, check=False,
            timeout=timeout_seconds, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise FailedError(f"{text}: not loaded within {timeout_seconds:g} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        raise FailedError(f"{text}: cannot be loaded in a process of its own: {lines[-1].strip()}")
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def highest_bytes() -> int:
    """Of this process, so far; 0 where there is no /proc."""
    if not _STATUS.is_file():
        return 0
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024


def _child(text: str, base_path: Path, weights: str) -> Peak:
    import tensorflow as tf  # noqa: PLC0415 - its own share is measured

    from exporter.measure.loading import LoadOptions, load  # noqa: PLC0415 - as above

    imported = highest_bytes()
    target = find_target(text, base_path)
    subject = load(target, LoadOptions(weights=weights), load_settings(), SilentReporter())
    subject.concrete(tf.constant(subject.pixels[:1]))
    return Peak(imported, highest_bytes())


if __name__ == "__main__":
    try:
        found = _child(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
    except Exception as failure:  # noqa: BLE001 - the parent says it
        sys.exit(first_line(failure))
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
