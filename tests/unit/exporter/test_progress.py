"""Progress: a bar for people, plain lines for logs."""

from io import StringIO

from rich.console import Console

from exporter.progress import reporting


def report_to(console):
    with reporting(console, 2) as report:
        report.step("loading")
        report.download("weights.h5", 10)
        report.download("weights.h5", 50)
        report.note("random [weights]")
        report.step("publishing")
    return console.file.getvalue()


def test_without_a_terminal_every_step_is_a_line():
    assert report_to(Console(file=StringIO(), width=30)).splitlines() == [
        "[1/2] loading",
        "      downloading weights.h5: 50 %",
        "note: random [weights]",
        "[2/2] publishing",
    ]


def test_on_a_terminal_there_is_a_bar():
    shown = report_to(Console(file=StringIO(), width=80, force_terminal=True))
    assert "note: random [weights]" in shown
    assert "publishing" in shown
    assert "1/2" in shown
