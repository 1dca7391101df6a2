"""Ctrl-C during the commands that change what is published: done, or told so; nothing half-done."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter.release import models_config
from exporter.store import manifest, version_numbers
from tests.support.processes import ROOT, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc"),
]

MOMENTS = (0.2, 0.8)
"""Parts of a run, each the begin of a stretch in which the signal is sent."""
STRETCH = 0.15
CONFIG = """# Mine.
model_config_list {{
  config {{
    name: "m"
    base_path: "{path}"
    model_platform: "tensorflow"
    version_labels {{ key: 'stable' value: 1 }}
    model_version_policy {{ specific {{ versions: 1 }} }}
  }}
}}
"""


class Command:
    """`python -m exporter` from when it listens to signals."""

    def __init__(self, *words, models):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "exporter", *words, "--base-path", str(models)],
            cwd=ROOT,
            env={**os.environ, "EXPORTER_MODELS_CONFIG": str(models / "none")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until(
            lambda: self.process.poll() is not None or self._listens(), what="signals heeded"
        )
        self.begun = time.monotonic()

    def _listens(self):
        """Whether it handles SIGALRM, the last of the signals that it installs."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return int(caught.split()[1], 16) >> (signal.SIGALRM - 1) & 1

    def end(self):
        """Exit code, standard error."""
        try:
            _, said = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
        return self.process.returncode, said


@pytest.fixture
def models(tmp_path):
    """Versions 1, 2 and 3 of m as these commands see them: files and their manifest."""
    for number in (1, 2, 3):
        path = tmp_path / "models" / "m" / str(number)
        (path / "variables").mkdir(parents=True)
        for name in ("saved_model.pb", "variables/variables.index", "model_card.json"):
            (path / name).write_bytes(f"{name} of {number}".encode())
        manifest.write(path)
    return tmp_path / "models"


@pytest.fixture(scope="module")
def run_seconds(tmp_path_factory):
    """How long a command takes from when it listens."""
    command = Command("list", models=tmp_path_factory.mktemp("empty"))
    assert command.end()[0] == 0
    return time.monotonic() - command.begun


@pytest.fixture(params=MOMENTS)
def interrupted(request, models, run_seconds):
    """Run a command and interrupt it within the stretch: whether it says that it is done."""

    def run(*words):
        draw = random.Random(f"{words[0]} {request.param}")  # noqa: S311 - a moment, no secret
        moment = request.param + draw.uniform(0, STRETCH)
        command = Command(*words, models=models)
        time.sleep(moment * run_seconds)  # the seeded moment itself, not a wait for something
        command.process.send_signal(signal.SIGINT)
        code, said = command.end()
        assert "Traceback" not in said
        assert "Error" not in said
        assert code in {0, 130}, said
        assert ("interrupted" in said) == (code == 130), said
        return code == 0

    return run


def complete_versions(models):
    """Those that model servers see; whole, and nothing hidden is left beside them."""
    folder = models / "m"
    found = version_numbers.versions(folder)
    for path in folder.iterdir():
        assert not path.name.startswith((".staging-", ".removed-")), path
        assert manifest.differences(path) == []
    return found


def test_rollback(models, interrupted):
    is_done = interrupted("rollback", "m", "--to", "1")
    assert complete_versions(models) == ([1, 2, 3, 4] if is_done else [1, 2, 3])


def test_prune(models, interrupted):
    is_done = interrupted("prune", "m", "--keep", "1", "--yes")
    left = complete_versions(models)
    assert left == [3] if is_done else left in ([1, 2, 3], [1, 3], [2, 3], [3])


def test_label(models, interrupted):
    config = models.parent / "models.config"
    config.write_text(CONFIG.format(path=models / "m"))
    is_done = interrupted("label", "m", "stable=2", "--at-once", "--config", str(config))
    labels = dict(models_config.find(config.read_text(), "m").labels)
    assert labels == {"stable": 2} if is_done else labels in ({"stable": 1}, {"stable": 2})
    assert complete_versions(models) == [1, 2, 3]


def test_quarantine(models, interrupted):
    is_done = interrupted("quarantine", "m", "3")
    assert complete_versions(models) == ([1, 2] if is_done else [1, 2, 3])
    assert version_numbers.quarantined(models / "m") == ([3] if is_done else [])
