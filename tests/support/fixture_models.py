"""The models behind the recorded pairs of tests/contract/data, written to a directory.

    m/1, m/2   image-like: uint8 [-1,8,8,3] -> scores float32 [-1,4]; version v adds v
    t/1        one signature per question about dtypes, shapes and errors
    c/1        TF1 style, without functions: classify, regress and predict on tf.Example

Recorded error texts quote function names that TensorFlow numbers per process: the models must be
built in this order by a process that has built nothing else (`build` starts one).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def build(base: Path) -> None:
    """Write all models below `base` in a process of their own."""
    subprocess.run(
        [sys.executable, "-m", "tests.support.fixture_graphs", str(base)],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
        capture_output=True,
        timeout=120,
    )


def add_version(base: Path, model_name: str, version: int, *, of: int) -> Path:
    """Publish a copy of a version under another number, by one rename."""
    staged = base / f".{model_name}-{version}"
    shutil.copytree(base / model_name / str(of), staged)
    return staged.rename(base / model_name / str(version))
