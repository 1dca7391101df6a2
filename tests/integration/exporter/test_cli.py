"""The command line's promises that need no TensorFlow: help, usage errors, exit codes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from exporter.cli import commands


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "exporter", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "100", **environment},
    )


def errors(result):
    return [line for line in result.stderr.splitlines() if not line.startswith("import time:")]


def test_help_is_quick_because_it_does_not_load_tensorflow():
    begun = time.monotonic()
    result = run("--help")
    elapsed = time.monotonic() - begun
    assert result.returncode == 0
    assert "tensorflow" not in result.stderr
    assert elapsed < 5  # measured 0.5 s alone; other test workers may hold the cores


def test_every_module_of_commands_is_a_command_and_export_comes_first():
    names = {path.stem for path in Path(commands.__path__[0]).glob("[!_]*.py")}
    words = [line.split()[1] for line in run("--help").stdout.splitlines() if "│ " in line]
    shown = [word for word in words if word in names]
    assert shown[0] == "export"
    assert sorted(shown) == sorted(names)


def test_help_of_export_shows_examples_and_every_source():
    result = run("export", "--help")
    assert "python -m exporter export --application MobileNetV2" in result.stdout
    for option in ("--application", "--keras", "--saved-model", "--labels", "--freeze"):
        assert option in result.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("export", "--freeze", "maybe"), "maybe"),
        (("export", "--version", "-1"), "greater than or equal to 0"),
        (("export",), "name exactly one of --application, --keras, --saved-model, --onnx"),
        (("export", "--keras", "m.keras", "--application", "VGG16"), "name exactly one of"),
        (("export", "--keras", "m.keras", "--image-size", "big"), "--image-size big: write 224"),
        (("export", "--keras", "m.keras", "--image-size", "1x2x3"), "1x2x3: write 224"),
        (
            ("export", "--keras", "m.keras", "--weights", "none"),
            "--weights goes with --application",
        ),
        (("export", "--keras", "m.keras", "--input", "x"), "--signature and --input go with"),
        (("export", "--keras", "m.keras", "--output", "x"), "--output goes with --saved-model, --"),
        (
            ("export", "--keras", "m.keras", "--parity-bound", "0"),
            "error: --parity-bound 0: write a number above 0 and up to 1, such as 1e-4",
        ),
        (("export", "--keras", "m.keras", "--parity-bound", "nan"), "--parity-bound nan: write"),
        (("verify", "m", "--bound", "0"), "error: --bound 0: write a number above 0 and up to 1"),
        (("verify", "m", "--bound", "1.5"), "--bound 1.5: write"),
        (("inspect", "nothing"), "there is no version of 'nothing' below models"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_usage_errors_exit_2_with_the_reason(arguments, complaint):
    result = run(*arguments)
    assert result.returncode == 2
    assert complaint in "\n".join(errors(result))
    assert "Traceback" not in result.stderr
    assert "tensorflow" not in result.stderr


def test_a_bad_setting_is_named():
    result = run("list", EXPORTER_PARITY_BOUND="much")
    assert result.returncode == 2
    (line,) = errors(result)
    assert line.startswith("error: EXPORTER_PARITY_BOUND: Input should be a valid number")


def test_a_bound_of_0_is_refused_in_one_line():
    (line,) = errors(run("verify", "m", "--bound", "0"))
    assert line == "error: --bound 0: write a number above 0 and up to 1, such as 1e-4"


def test_an_empty_base_path_lists_nothing_and_says_what_to_do(tmp_path):
    result = run("list", "--base-path", str(tmp_path))
    assert result.returncode == 0
    assert "python -m exporter demo" in result.stdout
