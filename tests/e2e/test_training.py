"""`sightserve train` as a person types it: the page's commands, errors, and Ctrl-C."""

import os
import re
import shlex
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from exporter import interruption
from exporter.store import inventory, manifest
from sightserve.cli.app import create_app
from tests.support.photo_folders import write_patterns
from tests.support.processes import ROOT

PAGE = (ROOT / "docs" / "training.md").read_text()
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def environment(folder):
    (folder / "tmp").mkdir(exist_ok=True)
    return {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp")}


def run(folder, *arguments):
    """One command in the folder: its exit code, output and errors."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def train(folder, *arguments):
    return run(folder, "sightserve", "train", *map(str, arguments))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where the page's commands find what they talk of."""
    folder = tmp_path_factory.mktemp("place")
    write_patterns(folder / "flowers", {"daisy": 30, "tulip": 30})
    with h5py.File(folder / "efficientnetv2-b0_notop.h5", "w") as file:
        file.create_dataset("any", data=np.zeros(3))
    return folder


def commands(kind):
    return [text for language, text in BLOCK.findall(PAGE) if language == kind]


@pytest.fixture(scope="module")
def digits(place):
    """The page's digits, trained by its own command."""
    (code,) = commands("python")
    (place / "write.py").write_text(code)
    written = run(place, "write")
    assert written.returncode == 0, written.stderr
    (line,) = [text for text in commands("bash") if "--weights none" in text]
    done = train(place, *shlex.split(line)[2:], "--base-path", place / "models")
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def cli(place, monkeypatch):
    """The command in this process, which keeps its own handlers of signals."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(interruption, "_install", lambda: None)
    return lambda *arguments: CliRunner().invoke(create_app(), ["train", *arguments])


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("digits")
class TestThePage:
    def test_digits_are_told_apart_and_published(self, place, digits):
        assert "starting from random weights" in digits.stdout
        assert re.search(r"epoch 10 of 10: accuracy 0\.\d+, validation", digits.stdout)
        card = inventory.find(place / "models", "digits", 1).card
        assert card.evaluation.top_1 >= 0.97
        assert (card.evaluation.dataset, card.evaluation.n) == ("digits, held out", 269)
        assert card.labels == tuple("0123456789")

    def test_its_report_shows_curves_confusion_and_mistakes_and_nothing_from_outside(self, place):
        version = place / "models" / "digits" / "1"
        page = (version / "training.html").read_text()
        for text in ("Curves: whole network", "polyline", "Confusion", "compact CNN", "269"):
            assert text in page
        assert not re.search(r"https?://|<script", page)
        assert str(place) not in page
        assert "training.html" in (version / manifest.FILE).read_text()
        assert (place / "digits.keras").stat().st_size > 100_000

    def test_nothing_is_left_behind(self, place):
        assert list((place / "tmp").iterdir()) == []
        assert [path.name for path in (place / "models" / "digits").iterdir()] == ["1"]


@pytest.mark.parametrize(
    "line", [text for text in commands("bash") if "--weights none" not in text]
)
def test_the_pages_other_commands_say_what_they_would_do(place, cli, line):
    """Their weights would be downloaded: here they only look."""
    arguments = [word for word in shlex.split(line)[2:] if word != "--dry-run"]
    done = cli(*arguments, "--dry-run")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "2 classes, 60 pictures: 44 to train on, 8 to stop by, 8 to measure with" in done.stdout
    assert "224x224 pixels" in done.stdout
    assert done.stdout.endswith("dry run: nothing was trained or published\n")
    assert not (place / "flowers.keras").exists()
    assert not (place / "models" / "flowers").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none/"], "none: there is no such folder"),
        (["flowers/", "--application", "MobilNet"], "did you mean: MobileNet"),
        (["flowers/", "--weights", "none.h5"], "neither imagenet, nor none, nor an existing file"),
        (["flowers/", "--weights", "none", "--fine-tune"], "--fine-tune goes on with pretrained"),
        (["flowers/", "--no-augment", "--mirror"], "--mirror is an augmentation"),
        (["flowers/", "--test", "0"], "--test 0: write a part of each class"),
        (["flowers/", "--test", "0.5", "--validation", "0.4"], "leave less than 20%"),
        (["flowers/", "--image-size", "big"], "--image-size big: write 224"),
        (["flowers/", "--keep-keras", "flowers.h5"], "the file's name ends in .keras"),
        (["flowers/", "--keep-keras", "no/flowers.keras"], "there is no such folder to write"),
        (["flowers/", "--name", "a b"], "--name 'a b'"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(cli, arguments, message):
    done = cli(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_a_folder_is_looked_at_without_tensorflow(place):
    code = (
        "import sys\n"
        "from sightserve.__main__ import main\n"
        "sys.argv = ['sightserve', 'train', 'flowers', '--dry-run', '--weights', 'none']\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "assert 'exporter.training.plan' in sys.modules\n"
        "assert not {'tensorflow', 'keras', 'sklearn'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=place,
        env=environment(place),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_ctrl_c_publishes_nothing_and_leaves_nothing(place):
    process = subprocess.Popen(
        [sys.executable, "-m", "sightserve", "train", "flowers", "--weights", "none",
         "--base-path", "interrupted", "--keep-keras", "interrupted.keras"],
        cwd=place,
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    with process:
        for line in process.stdout:
            if "loading the source" in line:
                process.send_signal(signal.SIGINT)
                break
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "interrupted, nothing was published\n"
    assert not (place / "interrupted").exists()
    assert not (place / "interrupted.keras").exists()
    assert list((place / "tmp").iterdir()) == []
