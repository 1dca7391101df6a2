"""The models behind the recorded pairs of tests/contract/data, written to a directory.

    m/1, m/2   image-like: uint8 [-1,8,8,3] -> scores float32 [-1,4]; version v adds v
    t/1        one signature per question about dtypes, shapes and errors
    c/1        TF1 style, without functions: classify, regress and predict on tf.Example

Recorded error texts quote function names that TensorFlow numbers per process: the models must be
built in this order by a process that has built nothing else (`build` starts one).
"""

from __future__ import annotations

import fcntl
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


def shared(tmp_path_factory, worker_id: str) -> Path:
    """The models, built once per run of pytest, whoever of its workers asks first. Read-only."""
    base = tmp_path_factory.getbasetemp()
    directory = base if worker_id == "master" else base.parent
    models = directory / "fixture-models"
    with (directory / "fixture-models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not models.exists():
            build(models)
    return models


def copy_version(models: Path, model_name: str, version: int, to: Path) -> Path:
    """Publish a copy of a version as the directory `to`, by one rename."""
    to.parent.mkdir(parents=True, exist_ok=True)
    staged = to.parent / f".staged-{to.name}"
    shutil.copytree(models / model_name / str(version), staged)
    return staged.rename(to)
