"""SIGKILL at any moment leaves complete versions only, and nothing that the next run would mind."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from exporter.store import manifest, publish, version_numbers
from tests.support.processes import ROOT, wait_until

KILLS = 12
STAGE_AND_DIE = """
import os, sys
from pathlib import Path
from exporter.store import publish

with publish.staging(Path(sys.argv[1])) as staged:
    staged.version_path.mkdir()
    os.kill(os.getpid(), 9)
"""


class Exports:
    """The forking parent of `tests.support.exporter_forks`."""

    def __init__(self, keras_file, base_path):
        self.model_path = base_path / "m"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.exporter_forks", str(keras_file), str(base_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )

    def run(self):
        """Export once, undisturbed: the child's wait status, its seconds, those of its writing."""
        before = staging(self.model_path)
        child = self.start()
        begun = time.monotonic()
        self.wait_for_writing(child, before)
        writing = time.monotonic()
        status = self.status()
        return status, time.monotonic() - begun, time.monotonic() - writing

    def run_and_kill(self, after_seconds, *, is_aimed_at_writing):
        """Export and kill so long after the start, or after the staging folder appeared."""
        before = staging(self.model_path)
        child = self.start()
        if is_aimed_at_writing:
            self.wait_for_writing(child, before)
        time.sleep(after_seconds)  # the random moment itself, not a wait for something
        with suppress(ProcessLookupError):  # it may have ended a moment ago
            os.kill(child, signal.SIGKILL)
        return self.status()

    def wait_for_writing(self, child, before):
        """Until there is a new staging folder, or there was one while nobody looked."""
        wait_until(
            lambda: staging(self.model_path) - before or not psutil.pid_exists(child),
            what="the staging folder",
        )

    def start(self):
        self.process.stdin.write("export\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def status(self):
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)


@pytest.fixture
def exports(tiny, tmp_path):
    running = Exports(tiny[1], tmp_path)
    yield running
    running.close()


def require_complete(model_path):
    """Every visible version is whole, to the byte."""
    numbers = version_numbers.versions(model_path)
    for number in numbers:
        assert manifest.differences(model_path / str(number)) == []
        assert "saved_model.pb" in manifest.read(model_path / str(number))
    return numbers


def staging(model_path):
    return set(model_path.glob(".staging-*"))


@pytest.mark.slow
def test_a_dozen_kills_leave_no_partial_version(exports):
    moments = random.Random(31)  # noqa: S311 - repeatable moments, no secrets
    model_path = exports.model_path
    status, seconds, seconds_of_writing = exports.run()
    assert status == 0
    published, killed_while_writing = 1, 0
    for number in range(KILLS):
        # A run mostly reads and computes: every fourth kill comes anywhere, the others while
        # the version is written, flushed or renamed.
        is_aimed = number % 4 != 0
        moment = moments.uniform(0, 1.1 * (seconds_of_writing if is_aimed else seconds))
        status = exports.run_and_kill(moment, is_aimed_at_writing=is_aimed)
        assert status in {0, signal.SIGKILL}
        if is_aimed and status == 0:
            seconds_of_writing *= 0.8  # it was over before: the machine was slower when measured
        numbers = require_complete(model_path)
        assert published <= len(numbers) <= published + 1
        published = len(numbers)
        assert len(staging(model_path)) <= 1  # each run clears what the one before left
        killed_while_writing += len(staging(model_path))
    assert killed_while_writing >= 3, "too few kills met the writing: the test proves nothing"
    status, *_ = exports.run()
    assert status == 0
    assert require_complete(model_path) == list(range(1, published + 2))
    assert staging(model_path) == set()


def test_the_staging_folder_of_a_dead_process_is_cleared(tmp_path):
    command = [sys.executable, "-c", STAGE_AND_DIE, str(tmp_path)]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == -signal.SIGKILL
    assert len(staging(tmp_path)) == 1
    with publish.staging(tmp_path) as living:
        assert staging(tmp_path) == {living.base_path}
