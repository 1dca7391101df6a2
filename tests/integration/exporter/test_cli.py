"""The command line's promises that need no TensorFlow: help, usage errors, exit codes."""

import json
import re
import subprocess
import sys
import zipfile
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
    result = run("--help")  # with the times of imports on standard error
    assert result.returncode == 0
    lines = result.stderr.splitlines()
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in lines}
    assert "exporter" in imported
    assert imported.isdisjoint({"tensorflow", "keras"})


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
    assert "Its code is RUN" in " ".join(result.stdout.replace("│", " ").split())


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
        (("export", "--application", "VGG16", "--input", "x"), "--input and --output go with"),
        (("export", "--onnx", "m.onnx", "--input", "x"), "--input goes with"),
        (("export", "--keras", "m.keras", "--signature", "x"), "--signature goes with --saved"),
        (("export", "--saved-model", "m", "--custom-objects", "m.py"), "goes with --keras"),
        (("export", "--keras", "m.keras", "--preprocess", "scale=0"), "so it must not be 0"),
        (("export", "--keras", "m.keras", "--pixels", "opencv"), "opencv"),
        (
            ("export", "--keras", "m.keras", "--parity-bound", "0"),
            "error: --parity-bound 0: write a number above 0 and up to 1, such as 1e-4",
        ),
        (("export", "--keras", "m.keras", "--parity-bound", "nan"), "--parity-bound nan: write"),
        (("export", "--keras", "m", "--min-accuracy", "0.9"), "need labelled pictures: --eval-dir"),
        (("export", "--keras", "m", "--max-regression", "0"), "need labelled pictures: --eval-dir"),
        (("export", "--keras", "m", "--min-accuracy", "90"), "less than or equal to 1"),
        (("export", "--keras", "m", "--eval-dir", "x", "--against", "3"), "say both"),
        (("evaluate", "m", "/nowhere"), "error: /nowhere: there is no such folder or list"),
        (("evaluate", "m", "/usr/bin"), "neither class folders with pictures nor"),
        (
            ("export", "--keras", "m.keras", "--encoded-parity-bound", "2"),
            "--encoded-parity-bound 2: write a number above 0",
        ),
        (("verify", "m", "--bound", "0"), "error: --bound 0: write a number above 0 and up to 1"),
        (("verify", "m", "--bound", "1.5"), "--bound 1.5: write"),
        (("label", "m", "stable"), "'stable': write LABEL=VERSION such as stable=3"),
        (("rollback", "m", "--to", "x"), "--to 'x': write a version's number, or latest"),
        (("prune", "nothing", "--keep", "2"), "there is no version of 'nothing' below models"),
        (("diff", "a", "b"), "write: diff NAME 3 4 DIR"),
        (("sign", "m"), "which key? say --key FILE"),
        (("verify", "ftp://host"), "ftp://host: write http://host:8000"),
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


# Each as `python -m exporter export …` ends, all in one process: starting it is what takes time.
TOGETHER = """
import json, sys
from exporter.cli.app import create_app
from exporter.errors import ExporterError

app = create_app()
ended = []
for arguments in json.load(sys.stdin):
    try:
        app(arguments)
    except ExporterError as error:
        ended.append([error.exit_code, str(error)])
    except SystemExit as ending:
        ended.append([ending.code, ""])
print(json.dumps([ended, "tensorflow" in sys.modules or "keras" in sys.modules]))
"""

AT_ONCE = [
    (["--name", "a/b"], 2, "--name 'a/b': letters, digits"),
    (["--name", ""], 2, "--name '': letters, digits"),
    (["--name", "n" * 300], 3, "File name too long; choose a shorter --name"),
    (["--version", "9223372036854775808"], 2, "model servers see versions from 0 to"),
    (["--version", "3"], 2, "version 3 of m exists (there are 3)"),
    (["--version", "4"], 2, "models/m/4 is in the way and no version"),
    (["--name", "last"], 2, "the last one that a model server can read"),
    (["--labels", "{}/nowhere.txt"], 2, "nowhere.txt: No such file"),
    (["--labels", "{}/half.json"], 2, "character 1 is U+D800 (half a character)"),
    (["--labels", "{}/lines.txt"], 2, "line 2: character 3 is U+0000"),
    (["--golden-dir", "{}/nowhere"], 2, "there is no such folder"),
    (["--crop-fraction", "nan"], 2, "image crop-fraction: "),
    (["--image-size", "5000"], 2, "image height: "),
    (["--image-size", "9" * 5000], 2, "write 224 or 224x320"),
    (["--parity-bound", "inf"], 2, "--parity-bound inf: write a number above 0"),
    (["--base-path", "{}/m.keras"], 3, "a file is in the way; choose another --base-path"),
    (["--keras", "{}/nowhere.keras"], 2, "there is no such file"),
    (["--keras", "{}/bomb.keras"], 4, "a bomb; save the model again, uncompressed"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What export might be given: enough to be looked at, nothing that could be loaded."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "m.keras").write_bytes(b"not looked into")
    (folder / "half.json").write_text(json.dumps(["cat", "\ud800"]))
    (folder / "lines.txt").write_bytes(b"cat\ndo\x00g\n")
    (folder / "models/m/3").mkdir(parents=True)
    (folder / "models/last/9223372036854775807").mkdir(parents=True)
    (folder / "models/m/4").write_text("stray")
    with zipfile.ZipFile(folder / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("config.json", b" " * 80_000_000)
    return folder


def test_what_can_be_seen_at_once_does_not_wait_for_tensorflow(files):
    common = {"--keras": f"{files}/m.keras", "--base-path": f"{files}/models", "--name": "m"}
    lines = []
    for arguments, _, _ in AT_ONCE:
        given = [argument.replace("{}", str(files)) for argument in arguments]
        missing = [f"{key}={value}" for key, value in common.items() if key not in given]
        lines.append(["export", *given, *missing])
    result = subprocess.run(
        [sys.executable, "-c", TOGETHER],
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    ended, has_loaded_tensorflow = json.loads(result.stdout)
    assert not has_loaded_tensorflow
    for (arguments, exit_code, complaint), (code, told) in zip(AT_ONCE, ended, strict=True):
        assert (code, complaint in told, told.count("\n")) == (exit_code, True, 0), (
            arguments,
            told,
        )
    assert sorted(path.name for path in (files / "models").iterdir()) == ["last", "m"]


@pytest.mark.parametrize(
    ("command", "complaint"),
    [("/opt/nothing --flag", "there is no program /opt/nothing"), ("a 'b", "No closing quotation")],
)
def test_a_model_server_that_is_not_there_is_seen_at_once(files, command, complaint):
    result = run("export", "--keras", f"{files}/m.keras", EXPORTER_MODEL_SERVER=command)
    assert result.returncode == 2
    (line,) = errors(result)
    assert line.startswith("error: EXPORTER_MODEL_SERVER: ")
    assert complaint in line


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["benchmark", "no such thing"], "is neither a model below"),
        (["compare", "ResNet50", "VGG16", "--batch", "0"], "--batch 0"),
        (["export", "--keras", "m.keras", "--tflite", "int8"], "--calibration-dir DIR"),
        (
            ["export", "--keras", "m.keras", "--precision", "bfloat16", "--freeze", "never"],
            "rewrites a frozen graph",
        ),
    ],
)
def test_mistakes_about_measuring_do_not_wait_for_tensorflow(arguments, message):
    result = run(*arguments)
    assert result.returncode == 2
    assert any(re.search(message, line) for line in errors(result))
    assert "| tensorflow" not in result.stderr
