"""A signal in the middle of a change to what is published: the change is whole, or not begun."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from exporter import interruption
from exporter.release import config_file
from exporter.store import publish, version_numbers
from tests.support.processes import ROOT

LATE = """
import os, sys
from exporter import interruption

class Late:
    def __del__(self, kill=os.kill, pid=os.getpid()):
        kill(pid, 2)

with interruption.told():
    sys.late = Late()  # freed while Python ends, after its signal handlers
"""


@pytest.fixture(autouse=True)
def handlers():
    """The test runner's own, afterwards."""
    kept = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    kept[signal.SIGALRM] = signal.getsignal(signal.SIGALRM)
    hook = sys.unraisablehook
    yield
    sys.unraisablehook = hook
    for number, handler in kept.items():
        signal.signal(number, handler)


def send():
    os.kill(os.getpid(), signal.SIGINT)


def exit_code(work):
    """As the command line does it."""
    with pytest.raises(SystemExit) as ended, interruption.told():
        work()
    return ended.value.code


@pytest.fixture
def model_path(tmp_path):
    for number in (1, 2, 3):
        (tmp_path / "m" / str(number)).mkdir(parents=True)
        (tmp_path / "m" / str(number) / "saved_model.pb").write_bytes(b"graph")
    return tmp_path / "m"


def test_a_removal_that_has_begun_is_ended_and_the_next_is_not_begun(model_path, monkeypatch):
    original = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda *call, **how: (send(), original(*call, **how)))

    def work():
        publish.remove(model_path, 2)
        publish.remove(model_path, 1)

    assert exit_code(work) == 130
    assert sorted(path.name for path in model_path.iterdir()) == ["1", "3"]


@pytest.mark.parametrize("act", [publish.quarantine, publish.release])
def test_a_version_that_has_moved_is_told_of(model_path, monkeypatch, act):
    if act is publish.release:
        publish.quarantine(model_path, 3)
    flush = publish._flush_folder
    monkeypatch.setattr(publish, "_flush_folder", lambda path: (send(), flush(path)))
    with interruption.told():
        path = act(model_path, 3)
    assert path.is_dir()
    assert (3 in version_numbers.versions(model_path)) == (act is publish.release)


@pytest.mark.parametrize("act", [publish.quarantine, publish.remove])
def test_nothing_moves_after_a_signal_that_was_swallowed(model_path, act):
    def work():
        with suppress(SystemExit):
            send()
        act(model_path, 3)

    assert exit_code(work) == 130
    assert version_numbers.versions(model_path) == [1, 2, 3]


@pytest.mark.parametrize("text", ["short\n", "a text that is longer than the one before it\n"])
def test_a_file_of_models_is_written_whole(tmp_path, monkeypatch, text):
    path = tmp_path / "models.config"
    path.write_text("the text before it\n")
    original = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda *call: (send(), original(*call))[1])
    with interruption.told(), config_file.locked(path, lambda: None) as file:
        file.write(text)
    assert path.read_text() == text


def test_a_signal_while_python_ends_does_not_kill():
    ended = subprocess.run(
        [sys.executable, "-c", LATE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
