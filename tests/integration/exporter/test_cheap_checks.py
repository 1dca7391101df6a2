"""What can be refused without TensorFlow is refused without it: no seconds of import first.

All cases run in one child, in turn, so that nothing that another test imported counts.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.processes import ROOT

CHILD = """
import contextlib, io, json, sys
from exporter.cli.app import main
for arguments in json.load(sys.stdin):
    sys.argv = ["exporter", *arguments]
    said, printed = io.StringIO(), io.StringIO()
    code = None
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    heavy = sorted({"tensorflow", "keras", "torch"} & sys.modules.keys())
    answer = {"code": code, "said": said.getvalue(), "printed": printed.getvalue()}
    print(json.dumps(answer | {"heavy": heavy}))
"""

KERAS = ["export", "--keras", "m.keras", "--labels", "good.txt"]

CASES = {
    "missing file": (["export", "--keras", "nowhere.keras"], 2, "nowhere.keras"),
    "wrong suffix": (["export", "--keras", "good.txt"], 2, "good.txt"),
    "invalid name": ([*KERAS, "--name", "a/b"], 2, "--name"),
    "missing labels": (["export", "--keras", "m.keras", "--labels", "no.txt"], 2, "no.txt"),
    "empty labels": (["export", "--keras", "m.keras", "--labels", "empty.txt"], 2, "empty.txt"),
    "existing version": ([*KERAS, "--name", "there", "--version", "1"], 2, "1"),
    "unwritable base path": ([*KERAS, "--base-path", "good.txt"], 3, "good.txt"),
    "unknown application": (["export", "--application", "MobileNetV9"], 2, "MobileNetV2"),
    "unknown preprocess": ([*KERAS, "--preprocess", "magic"], 2, "magic"),
    "missing evaluation folder": ([*KERAS, "--eval-dir", "no-photos"], 2, "no-photos"),
    "empty evaluation folder": ([*KERAS, "--eval-dir", "nothing"], 2, "nothing"),
    "missing golden folder": ([*KERAS, "--golden-dir", "no-goldens"], 2, "no-goldens"),
    "ensure: unknown application": (["ensure", "--model", "ResNet5O"], 2, "ResNet50"),
    "benchmark: unknown target": (["benchmark", "nowhere.keras"], 2, "nowhere.keras"),
    "evaluate: missing pictures": (["evaluate", "m.keras", "no-photos"], 2, "no-photos"),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory, tiny):
    folder = tmp_path_factory.mktemp("cheap")
    (folder / "m.keras").write_bytes(tiny[1].read_bytes())
    (folder / "good.txt").write_text("".join(f"label {each}\n" for each in range(12)))
    (folder / "empty.txt").touch()
    (folder / "nothing").mkdir()
    (folder / "models/there/1").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        input=json.dumps([arguments for arguments, _, _ in CASES.values()]),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return dict(zip(CASES, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_in_one_line_before_tensorflow_is_imported(answers, case):
    _, code, named = CASES[case]
    answer = answers[case]
    assert answer["code"] == code, answer
    assert answer["said"].count("\n") == 1
    assert named in answer["said"]
    assert answer["heavy"] == []
    assert answer["printed"] == ""  # no step was begun: a build imports it in another process
