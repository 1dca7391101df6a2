"""The build in a process of its own: what it says arrives, and nothing of it outlives us."""

import errno
import os
import signal
import time
from dataclasses import dataclass

import psutil
import pytest

from exporter.build_process import build_apart
from exporter.errors import FailedError, RefusedError
from exporter.options import ExportOptions
from exporter.progress import SilentReporter
from exporter.settings import Settings
from exporter.sources.selection import Selected, SourceOptions
from exporter.sources.source_files import SourceFiles
from exporter.store import inventory
from tests.support.processes import wait_until


class Steps(SilentReporter):
    def __init__(self):
        self.texts = []

    def step(self, text):
        self.texts.append(text)


@dataclass(frozen=True)
class Fails:
    """A source that ends the build, one way or another."""

    how: str

    def __call__(self, report, /):
        report.step(f"failing by {self.how}")
        if self.how == "refusal":
            raise RefusedError("no good", step="weights")
        if self.how == "full disk":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "variables")
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "fault":
            raise ZeroDivisionError
        time.sleep(600)


def run(load, tmp_path, report=None):
    options = ExportOptions(name="m", base_path=tmp_path, parity_bound=1e-4)
    return build_apart(load, options, Settings(max_batch_size=2), report or Steps(), tmp_path / "1")


def children():
    """The builds, not the servers of other tests in this process."""
    found = psutil.Process().children(recursive=True)
    return [each for each in found if "exporter.apart" in " ".join(each.cmdline())]


def test_it_builds_and_tells_its_steps(tiny, tmp_path):
    steps = Steps()
    built = run(
        Selected(SourceOptions(files=SourceFiles(keras_file=tiny[1])), Settings()), tmp_path, steps
    )
    assert "loading the source" in steps.texts
    assert "writing the staged version" in steps.texts
    assert "parity" in {line.step for line in built.lines}
    assert inventory.read_card(tmp_path / "1").model_name == "m"
    assert not children()


def test_refusals_keep_their_kind_and_step(tmp_path):
    with pytest.raises(RefusedError, match="no good") as caught:
        run(Fails("refusal"), tmp_path)
    assert caught.value.step == "weights"


def test_a_full_disk_is_told_as_one(tmp_path):
    with pytest.raises(FailedError, match=r"cannot write to .*No space left on device; free some"):
        run(Fails("full disk"), tmp_path)


@pytest.mark.parametrize(
    ("how", "words"), [("kill", "for want of memory"), ("fault", "last words are above")]
)
def test_a_build_that_dies_is_a_failure(tmp_path, how, words, capfd):
    with pytest.raises(FailedError, match=words):
        run(Fails(how), tmp_path)
    assert ("ZeroDivisionError" in capfd.readouterr().err) == (how == "fault")
    assert not children()


def test_whoever_stops_the_parent_stops_the_build(tmp_path):
    class Interrupting(Steps):
        def step(self, text):
            super().step(text)
            if text == "failing by sleep":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Fails("sleep"), tmp_path, Interrupting())
    wait_until(lambda: not children(), what="the child's end")
