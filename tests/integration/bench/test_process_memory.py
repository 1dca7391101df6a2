"""Peaks of a real process and its child."""

import sys
from pathlib import Path

from bench.process_memory import measured
from tests.support.processes import Process, wait_until

MEGABYTE = 1 << 20
# Holds its memory until it is ended; its child goes by the name of a model server.
HOLDS = "import signal; held = b'x' * (int({size}) << 20); signal.pause()"
PARENT = """
import pathlib, subprocess, sys
pathlib.Path("serving.py").write_text({child!r})
subprocess.Popen([sys.executable, "-m", "serving"])
{own}
"""


def started(folder: Path) -> Process:
    program = PARENT.format(child=HOLDS.format(size=80), own=HOLDS.format(size=40))
    return Process([sys.executable, "-c", program], folder / "log", folder=folder)


def test_both_peaks_and_their_sum_are_found(tmp_path):
    process = started(tmp_path)
    try:
        with measured(process.pid, stop_above_bytes=10**12, stop=process.kill) as peaks:
            wait_until(
                lambda: peaks.main > 40 * MEGABYTE and peaks.model_server > 80 * MEGABYTE,
                what="both holding their memory",
            )
    finally:
        process.kill()
    assert peaks.main < 80 * MEGABYTE < peaks.model_server
    assert 120 * MEGABYTE < peaks.together <= peaks.main + peaks.model_server


def test_what_holds_too_much_is_ended(tmp_path):
    process = started(tmp_path)
    try:
        with measured(process.pid, stop_above_bytes=100 * MEGABYTE, stop=process.kill) as peaks:
            assert process.wait() != 0
    finally:
        process.kill()
    assert peaks.together > 100 * MEGABYTE
