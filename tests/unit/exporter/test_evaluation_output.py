"""What `evaluate` prints and writes."""

import csv
import json
import shutil

import pytest
from rich.console import Console

from exporter.accuracy.evaluation import evaluate, read_set
from exporter.cli.evaluation_output import show
from exporter.errors import FailedError
from exporter.progress import SilentReporter
from tests.support.coloured import classifier, png, write_folders


@pytest.fixture
def evaluation(tmp_path):
    folder = write_folders(tmp_path / "colours", each=10)
    (folder / "red" / "=cmd().png").write_bytes(b"no picture")
    shutil.copytree(folder / "red", folder / "rad")
    (folder / "green").rename(folder / "@green")
    (folder / "blue" / "[bold]x.png").write_bytes(png("red"))
    return evaluate(classifier(("red", "@green", "blue")), read_set(folder), SilentReporter())


def shown(evaluation, **options):
    console = Console(width=120, record=True, quiet=False)
    wanted = {"csv_file": None, "html": None, "as_json": False, **options}
    show(evaluation, console, **wanted)
    return console.export_text()


def test_people_read_figures_what_was_left_out_and_what_is_broken(evaluation, capsys):
    text = shown(evaluation)
    table = capsys.readouterr().out
    assert "colours on 31 pictures of colours" in text
    assert "top-1              0.9677" in text
    assert "mistake: blue/[bold]x.png is blue, taken for red with 0.800" in text
    assert (
        "left out: 11 pictures of labels that the model does not have: rad (11; close: red)" in text
    )
    assert "broken: 1 files: red/=cmd().png: not an image of a known format" in text
    assert "red (1)" in table  # what blue was taken for


def test_programs_read_json(evaluation, capsys):
    shown(evaluation, as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert content["top_1"] == pytest.approx(30 / 31)
    assert content["unknown"] == [{"label": "rad", "pictures": 11, "hint": "close: red"}]


def test_spreadsheets_read_every_answer_and_run_none(evaluation, tmp_path):
    shown(evaluation, csv_file=tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 32
    assert sum(row["right"] == "1" for row in rows) == 30
    (wrong,) = [row for row in rows if row["right"] == "0"]
    assert (wrong["label"], wrong["predicted"], wrong["in_top_5"]) == ("blue", "red", "1")
    assert rows[-1]["problem"].startswith("not an image")
    assert sum(row["label"] == "'@green" for row in rows) == 10
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())


def test_a_file_that_cannot_be_written_is_a_failure(evaluation, tmp_path):
    with pytest.raises(FailedError, match=r"cannot write .*nowhere"):
        shown(evaluation, html=tmp_path / "nowhere" / "page.html")
