"""What a process tree uses, looked at from outside."""

import subprocess
import sys

import pytest

from tests.load import process_tree
from tests.support.processes import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MEGABYTE = 1_000_000

# A parent with a child that holds 50 MB, and one that used the processor and is gone.
TREE = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "sum(i * i for i in range(10_000_000))"], check=True)
code = "import sys; held = bytearray(50_000_000); held[::4096] = b'x' * len(held[::4096]);"
code += "print('ready', flush=True); sys.stdin.read()"
subprocess.run([sys.executable, "-c", code], check=True)
"""


@pytest.fixture
def tree():
    command = [sys.executable, "-c", TREE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.communicate(b"")


def test_counts_children_that_live_and_the_work_of_those_that_ended(tree):
    found = process_tree.usage(tree)
    assert found.processes == 2
    assert found.threads == 2
    assert found.descriptors >= 6
    assert found.pss_bytes > 50 * MEGABYTE
    assert process_tree.memory_bytes(tree) > 50 * MEGABYTE
    assert process_tree.cpu_seconds(tree) > 0.1


def test_a_process_that_is_gone_uses_nothing():
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        pass
    assert process_tree.usage(process.pid) == process_tree.Usage(0, 0, 0, 0)
    assert process_tree.cpu_seconds(process.pid) == 0


def test_peak_memory_remembers_what_was_freed():
    code = "x = bytearray(80_000_000); input(); del x; print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        with process_tree.PeakMemory(process.pid) as peak:
            wait_until(lambda: peak.bytes > 80 * MEGABYTE, "the peak is seen", seconds=20)
            process.stdin.write(b"\n")
            process.stdin.flush()
            process.stdout.readline()
        settled = process_tree.settled_memory_bytes(
            process.pid, below_bytes=60 * MEGABYTE, seconds=20
        )
        process.communicate(b"\n")
    assert peak.bytes > 80 * MEGABYTE
    assert settled < 60 * MEGABYTE
