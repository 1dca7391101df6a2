"""SIGKILL at any moment leaves complete versions only, and nothing that the next run would mind."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from exporter import manifest, publish
from tests.support.processes import ROOT

KILLS = 20


class Exports:
    """The forking parent of `tests.support.exporter_forks`."""

    def __init__(self, keras_file, base_path):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.exporter_forks", str(keras_file), str(base_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )

    def run(self, kill_after_seconds=None):
        """Export once; the child's wait status and its seconds."""
        self.process.stdin.write("export\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        begun = time.monotonic()
        if kill_after_seconds is not None:
            timer = threading.Timer(kill_after_seconds, kill, [child])
            timer.start()
        status = int(self.process.stdout.readline())
        if kill_after_seconds is not None:
            timer.cancel()
            timer.join()
        return status, time.monotonic() - begun

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)


def kill(child):
    with suppress(ProcessLookupError):  # it may have ended a moment ago
        os.kill(child, signal.SIGKILL)


@pytest.fixture
def exports(tiny, tmp_path):
    running = Exports(tiny[1], tmp_path)
    yield running
    running.close()


def require_complete(model_path):
    """Every visible version is whole, to the byte."""
    numbers = publish.versions(model_path)
    for number in numbers:
        assert manifest.differences(model_path / str(number)) == []
        assert "saved_model.pb" in manifest.read(model_path / str(number))
    return numbers


def staging(model_path):
    return list(model_path.glob(".staging-*")) if model_path.exists() else []


@pytest.mark.slow
def test_twenty_kills_leave_no_partial_version(exports, tmp_path):
    moments = random.Random(31)  # noqa: S311 - repeatable moments, no secrets
    model_path = tmp_path / "m"
    status, seconds = exports.run()
    assert status == 0
    published, killed_while_staging = 1, 0
    for _ in range(KILLS):
        # Most of a run only reads; aim two thirds of the kills at the writing at its end.
        earliest = 0.0 if moments.random() < 1 / 3 else 0.5
        status, _ = exports.run(kill_after_seconds=seconds * moments.uniform(earliest, 1.05))
        assert status in {0, signal.SIGKILL}
        numbers = require_complete(model_path)
        assert published <= len(numbers) <= published + 1
        published = len(numbers)
        assert len(staging(model_path)) <= 1  # each run clears what the one before left
        killed_while_staging += len(staging(model_path))
    assert killed_while_staging >= 1, "no kill met the writing: the test proves nothing"
    status, _ = exports.run()
    assert status == 0
    assert require_complete(model_path) == list(range(1, published + 2))
    assert staging(model_path) == []
