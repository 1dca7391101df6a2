"""`sightserve classify --local`: what it needs is started for the run, and gone after it."""

import json
import os
import subprocess
import sys

import psutil
import pytest

from tests.support.processes import ROOT

pytestmark = pytest.mark.slow


def test_a_published_model_is_served_for_the_length_of_the_run(digits, tmp_path):
    (tmp_path / "models").symlink_to(digits.models)
    picture = str(ROOT / "samples" / "seven.png")
    command = [sys.executable, "-m", "sightserve", "classify", picture, "--local", "digits"]
    done = subprocess.run(
        [*command, "--format", "jsonl"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout)["predictions"][0]["label"] == "seven"
    marks = str(tmp_path)
    assert not [each for each in psutil.process_iter(["cmdline"]) if marks in str(each.info)]
    assert not [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == marks]


def test_a_model_that_there_is_not_is_one_error(tmp_path):
    command = [sys.executable, "-m", "sightserve", "classify", "x.png", "--local", "NoSuchNet"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3
    assert "NoSuchNet: no file, no published model, no Keras application" in done.stderr
    assert "Traceback" not in done.stderr
