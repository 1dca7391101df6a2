"""What a training says while it runs, and the page that it leaves."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from contract.card import ClassInfo
from contract.image_spec import ImageSpec
from exporter.accuracy.datasets import LabelledFile
from exporter.accuracy.evaluation import LabelledSet, evaluate
from exporter.accuracy.in_process import InProcess
from exporter.progress import SilentReporter
from exporter.training.history import Epoch, History, Stage
from exporter.training.page import training_page
from exporter.training.pixels import PixelFile
from exporter.training.plan import Plan
from exporter.training.progress import training_reporter
from exporter.training.split import Split
from tests.support.photo_folders import write_patterns

EPOCHS = (
    Epoch(loss=2.0, accuracy=0.5, validation_loss=1.0, validation_accuracy=0.75),
    Epoch(loss=0.5, accuracy=0.875, validation_loss=1.5, validation_accuracy=0.5),
)
LABELS = ("<b>cats</b>", "dogs")


def say(*, is_terminal):
    out = StringIO()
    console = Console(file=out, force_terminal=is_terminal, width=100)
    with training_reporter(console, 3) as report:
        report.step("reading")
        report.advance("reading pictures", 4, 4)
        report.step("training [the head]")
        report.epoch(1, 2, EPOCHS[0])
        report.note("left out: [a] b")
        report.download("weights.h5", 50)
    return out.getvalue()


def test_lines_tell_steps_epochs_and_notes():
    assert say(is_terminal=False).splitlines() == [
        "[1/3] reading",
        "      reading pictures: 4 of 4",
        "[2/3] training [the head]",
        "      epoch 1 of 2: accuracy 0.500, validation 0.750",
        "note: left out: [a] b",
        "      downloading weights.h5: 50 %",
    ]


def test_a_bar_shows_the_last_of_it():
    shown = say(is_terminal=True)
    assert "note: left out: [a] b" in shown
    assert "[2/3] training [the head]" in shown
    assert "weights.h5" in shown


@pytest.fixture
def plan(tmp_path):
    folder = write_patterns(tmp_path / "photos", {"cats": 4, "dogs": 4})
    files = [
        LabelledFile(file, file.name, LABELS[index])
        for index, name in enumerate(("cats", "dogs"))
        for file in sorted((folder / name).iterdir())
    ]
    return Plan(
        folder=folder,
        labels=LABELS,
        image=ImageSpec(height=16, width=16),
        pixels=PixelFile(Path("none"), 8, 16, 16),
        files=tuple(files),
        truth=np.repeat([0, 1], 4),
        parts=Split(np.array([0, 4]), np.array([1, 5]), np.array([2, 3, 6, 7])),
        notes=("left out: <i>one</i>",),
    )


def page(plan, *, best=1, evaluation=None):
    history = History(
        network="MobileNetV2",
        weights="imagenet",
        seed=7,
        image_height=16,
        image_width=16,
        parameters=2_500_000,
        augmented_copies=4,
        notes=plan.notes,
        stages=(Stage(name="head", epochs=EPOCHS, best=best),),
    )
    return training_page("cats: training report", plan, history, evaluation)


def test_the_page_draws_every_epoch_and_escapes_labels(plan):
    text = page(plan)
    assert text.count("<circle") == 4
    assert "The weights of epoch 1 of 2 were kept." in text
    assert "&lt;b&gt;cats&lt;/b&gt;" in text
    assert "&lt;i&gt;one&lt;/i&gt;" in text
    assert "<b>cats" not in text
    assert "from imagenet" in text
    assert "weights are those from before" in page(plan, best=0)


def test_the_page_shows_confusion_and_the_worst_mistakes_as_pictures(plan):
    classes = [ClassInfo(index=index, label=label) for index, label in enumerate(LABELS)]

    def always_dogs(pixels):
        return np.tile(np.array([[0.25, 0.75]], np.float32), (len(pixels), 1))

    held_out = tuple(plan.files[position] for position in plan.parts.test)
    evaluation = evaluate(
        InProcess("model", classes, plan.image, always_dogs),
        LabelledSet("photos, held out", held_out),
        SilentReporter(),
    )
    text = page(plan, evaluation=evaluation)
    assert "4 pictures of photos, held out" in text
    assert text.count("data:image/jpeg;base64,") == 2
    assert "taken for dogs" in text
