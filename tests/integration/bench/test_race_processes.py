"""The race's process groups: counted, stopped and ended with all that they have started."""

from __future__ import annotations

import sys

import psutil
import pytest

from bench.race.processes import Groups, StartError, wait_until
from tests.support import processes

BUSY = "while True: pass"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BUSY!r}])
print("child", child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def groups(tmp_path):
    found = Groups(tmp_path / "logs")
    yield found
    found.end()


@pytest.fixture
def family(groups):
    """A parent that waits and a child that is busy; the child's process."""
    group = groups.start("gateway", [sys.executable, "-c", PARENT])
    wait_until(lambda: group.log_text().startswith("child "), groups)
    return psutil.Process(int(group.log_text().split()[1]))


@pytest.mark.usefixtures("family")
def test_cpu_of_a_gateways_children_is_decoding(groups):
    processes.wait_until(lambda: groups.cpu_seconds()["decode workers"] > 0.1, "it is busy")
    assert set(groups.cpu_seconds()) == {"gateway", "decode workers"}
    groups.all[0].is_whole = True
    assert groups.cpu_seconds()["gateway"] > 0.1
    assert groups.resident_mb()["gateway"] > 1


def test_a_suspended_group_does_not_run_until_it_is_resumed(groups, family):
    groups.suspend()
    processes.wait_until(lambda: family.status() == psutil.STATUS_STOPPED, "it is stopped")
    before = family.cpu_times().user
    groups.resume()
    processes.wait_until(lambda: family.cpu_times().user > before, "it runs again")


def test_ending_ends_the_children_of_a_suspended_group_too(groups, family):
    groups.suspend()
    groups.end()
    processes.wait_until(
        lambda: not family.is_running() or family.status() == psutil.STATUS_ZOMBIE, "it has ended"
    )
    with pytest.raises(StartError, match="the gateway ended"):
        groups.check()


def test_one_that_ends_says_its_last_words(groups):
    groups.start("model server", [sys.executable, "-c", "raise SystemExit('no such flag')"])
    with pytest.raises(StartError, match="the model server ended: no such flag"):
        wait_until(lambda: False, groups)
