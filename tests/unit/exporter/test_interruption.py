"""Ctrl-C and SIGTERM: remembered where they are swallowed, harmless once a version is visible."""

import os
import signal
import sys
import time
from contextlib import suppress

import pytest
from rich.console import Console

from exporter import interruption
from exporter.progress import reporting
from exporter.store import publish, version_numbers

LINE = "interrupted, nothing was published\n"


@pytest.fixture(autouse=True)
def handlers():
    """The test runner's own, afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    kept = {number: signal.getsignal(number) for number in numbers}
    hook = sys.unraisablehook
    yield
    sys.unraisablehook = hook
    for number, handler in kept.items():
        signal.signal(number, handler)


def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def run(work):
    """As the command line does; the exit code."""
    with pytest.raises(SystemExit) as ended, interruption.told():
        work()
    return ended.value.code


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_work_with_one_line(capsys, number, exit_code):
    assert run(lambda: send(number)) == exit_code
    assert capsys.readouterr().err == LINE


def swallow():
    with suppress(BaseException):
        send()


def test_the_next_step_asks_for_what_was_swallowed(capsys):
    begun = []

    def work():
        swallow()
        with reporting(Console(), 2) as report:
            report.step("the next one")
            begun.append("the next one")

    assert run(work) == 130
    assert begun == []
    assert capsys.readouterr().err == LINE


def test_nothing_is_published_after_a_signal_that_was_swallowed(tmp_path, capsys):
    def work():
        with publish.staging(tmp_path / "m") as staged:
            staged.version_path.mkdir()
            swallow()
            staged.publish()

    assert run(work) == 130
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == LINE


def test_a_signal_during_the_rename_is_too_late(tmp_path, monkeypatch):
    original = publish.Staging._rename
    monkeypatch.setattr(
        publish.Staging, "_rename", lambda *call: (send(), original(*call), send())[1]
    )
    with interruption.told(), publish.staging(tmp_path / "m") as staged:
        staged.version_path.mkdir()
        published = staged.publish()
        send()  # what is left is to announce it
    assert published == tmp_path / "m" / "1"
    assert version_numbers.versions(tmp_path / "m") == [1]


@pytest.mark.parametrize("where", ["claiming", "removing"])
def test_folders_are_claimed_and_removed_whole(tmp_path, monkeypatch, where):
    name = "_clear_abandoned" if where == "claiming" else "_remove_if_empty"
    original = getattr(publish, name)
    monkeypatch.setattr(publish, name, lambda path: (send(), original(path))[1])

    def work():
        with publish.staging(tmp_path / "m"):
            assert where == "removing", "the work has begun in spite of the signal"
        interruption.require_none()

    assert run(work) == 130
    assert list(tmp_path.iterdir()) == []


def test_the_interpreters_own_code_is_not_cut_in_two(capsys):
    """TensorFlow's native code calls it, and prints a SystemError for what is raised there."""
    seen = []
    names = {"raise_signal": signal.raise_signal, "seen": seen}
    code = compile("raise_signal(2); seen.append('left in peace')", "<frozen abc>", "exec")

    def work():
        exec(code, names)  # noqa: S102 - no other way to have code of that name
        time.sleep(60)

    assert run(work) == 130
    assert seen == ["left in peace"]
    assert capsys.readouterr().err == LINE


def test_a_destructor_that_is_met_says_nothing(capsys):
    class Freed:
        def __del__(self):
            send()

    def work():
        Freed()
        interruption.require_none()

    assert run(work) == 130
    assert capsys.readouterr().err == LINE


def test_what_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a background job
    with interruption.told():
        send()
        interruption.require_none()


def test_a_program_of_its_own_keeps_its_handlers(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with publish.staging(tmp_path / "m"):
        assert signal.getsignal(signal.SIGINT) is before
    assert interruption.received() is None
