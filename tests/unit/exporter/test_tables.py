"""Long names on a terminal of 80 columns are folded, never cut; in a pipe they stay on one line."""

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from exporter.accuracy.agreement import Agreement, Changed, Choice
from exporter.accuracy.evaluation import evaluate, read_set
from exporter.accuracy.mistakes import worst
from exporter.cli import evaluation_output
from exporter.cli.commands import diff, verify
from exporter.cli.commands import list as list_command
from exporter.cli.output import say, say_table
from exporter.measure import comparison, tables
from exporter.measure.comparison import Contestant
from exporter.measure.timing import Budget
from exporter.progress import SilentReporter
from exporter.proof.replay import Checked
from exporter.report.description import describe_evaluation
from exporter.store.inventory import PublishedVersion
from tests.support.coloured import classifier, png

LONG = "classifier-of-alpine-flowers-and-mosses-and-ferns-and-like-Z"
OTHER = LONG[:59] + "Q"
VERSION = 1_234_567
COLUMNS = 80


@pytest.fixture(params=["terminal", "pipe"])
def console(request):
    is_terminal = request.param == "terminal"
    return Console(width=COLUMNS, force_terminal=is_terminal, no_color=True, file=io.StringIO())


def printed(console, table):
    say_table(console, table)
    text = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())
    assert "…" not in text
    lines = [line.rstrip() for line in text.splitlines()]
    if console.is_terminal:
        assert max(map(len, lines)) <= COLUMNS
    return lines


def column(lines, first, last):
    """What is between two places of the lines, a folded name put together again."""
    return "".join(line[first:last].strip() for line in lines)


def test_list(console):
    row = {
        "model": LONG,
        "version": VERSION,
        "size_bytes": 1_234_567_890,
        "classes": 1000,
        "top_1": 0.9944,
        "source": OTHER,
        "exported_at": "2026-07-01T00:00:00+00:00",
        "state": "AVAILABLE",
    }
    head, *body = printed(console, list_command.table_of([row]))
    place = head.index("version")
    assert column(body, 0, place) == LONG
    assert column(body, place, head.index("size")) == str(VERSION)
    source = slice(head.index("source"), head.index("exported"))
    assert column(body, source.start, source.stop) == OTHER
    if not console.is_terminal:
        assert len(body) == 1


def test_compare(console):
    pixels = np.zeros((1, 4, 4, 3), np.uint8)
    name = f"{LONG}:{VERSION}"
    entered = [Contestant(name, lambda images: images, pixels, 25_600_000, 102_400_000, None, 0.76)]
    rows = comparison.run(entered, [8], Budget(0, rounds=3), SilentReporter())
    _, *body = printed(console, tables.comparison_table(rows))
    assert "".join(line.split(" ")[0] for line in body) == name
    assert "102.4 MB" in body[0]
    if not console.is_terminal:
        assert len(body) == 1


def test_evaluate(console, tmp_path):
    folder = tmp_path / "pictures"
    for label, colours in ((LONG, ("red", "green")), (OTHER, ("green", "green"))):
        (folder / label).mkdir(parents=True)
        for number, colour in enumerate(colours):
            (folder / label / f"{number}.png").write_bytes(png(colour))
    found = evaluate(classifier((LONG, OTHER, "blue")), read_set(folder), SilentReporter())
    content = describe_evaluation(found, worst(found))
    head, *body = printed(console, evaluation_output.table_of(content))
    first = "".join(line.split(" ")[0] for line in body)
    assert first.startswith(LONG)
    assert OTHER in first
    taken_for = column(body, head.index("most taken for"), None)
    assert taken_for.replace(" ", "") == f"{OTHER}(1)"
    assert all(figure in " ".join(body) for figure in ("0.500", "1.000"))


def test_lines_are_left_to_the_terminal(console):
    line = f"{LONG} version {VERSION}: {OTHER} [bold] {LONG}"
    say(console, line)
    assert console.file.getvalue() == f"{line}\n"


@pytest.mark.parametrize("is_terminal", ["0", "1"])
def test_verify(monkeypatch, capsys, is_terminal):
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    monkeypatch.setenv("TTY_COMPATIBLE", is_terminal)
    found = PublishedVersion(LONG, VERSION, Path("models") / LONG / str(VERSION), 1, None)
    checked = [Checked("grpc", OTHER, 32, 1e-6)]
    verify._show("grpc://localhost:8500", found, verify._Found(checked, None), {}, as_json=False)
    said, last = capsys.readouterr().out.splitlines()
    assert said.startswith(f"{OTHER}: 32 asked over grpc")
    assert last == f"{LONG} version {VERSION}: as at export"


def test_diff(console):
    one = Choice(label=LONG, probability=0.9)
    changed = Changed(Path("pictures") / f"{LONG}.png", one, replace(one, label=OTHER))
    agreement = Agreement(2, 1, 0.1, 0.01, (changed,), (), (), ())
    say(console, *diff._lines(agreement, Path("pictures"), None))
    line = console.file.getvalue().splitlines()[2]
    assert line == f"  {LONG}.png: {LONG} 0.900 -> {OTHER} 0.900"
