"""What people and programs are told about a search."""

import json
import re
from io import StringIO

import pytest
from rich.console import Console

from exporter.progress import SilentReporter
from exporter.tune import report
from exporter.tune.proofs import Proof, Standard
from exporter.tune.search import Goal, Search
from tests.support.simulated_machine import RIGHT, SimulatedMachine

PROOFS = [Proof("tensorflow", "float32", 1e-4), Proof("openvino", "f32", 1e-3)]
WRONG = {("openvino", "f32"): RIGHT[::-1]}


def found(*, target_ms=None, answers=None, factor=1.0):
    machine = SimulatedMachine(
        lambda server: 6.0 * (1 if server.engine == "tensorflow" else factor), answers=answers
    )
    goal = Goal(target_ms, 60.0, cores=2, clients=32)
    search = Search(machine, goal, machine.clock, SilentReporter())
    return search.run(PROOFS, Standard(RIGHT, None, 0.995)), goal


def printed(outcome, goal, width=200):
    console = Console(file=StringIO(), width=width)
    console.print(report.table(outcome, goal.target_ms))
    return console.file.getvalue().splitlines()


class TestTable:
    def test_the_chosen_row_is_first_and_says_so(self):
        heading, first, *others = printed(*found(factor=0.5))
        assert heading.split()[:2] == ["engine", "threads"]
        assert first.startswith("openvino f32")
        assert first.rstrip().endswith("chosen")
        assert others
        assert not any("chosen" in line for line in others)

    def test_on_a_narrow_terminal_figures_stay_whole(self):
        wide, narrow = printed(*found()), printed(*found(), width=110)
        assert wide[1].split()[:9] == narrow[1].split()[:9]

    def test_without_a_chosen_row_none_is_called_so(self):
        assert "chosen" not in "".join(printed(*found(target_ms=0.1)))


class TestLines:
    def test_the_gain_over_the_untuned_settings(self):
        outcome, goal = found(factor=0.5)
        lines = list(report.lines(outcome, goal))
        assert lines[0].startswith("chosen: openvino f32, ")
        assert re.match(r"  2\.0\d x the untuned settings: \d+ requests/s, p99 ", lines[2])

    def test_what_was_ruled_out_by_what(self):
        lines = list(report.lines(*found(answers=WRONG)))
        assert "ruled out: openvino f32: off by 1 on golden images, bound 0.001" in lines

    def test_a_target_that_nothing_keeps(self):
        outcome, goal = found(target_ms=0.1)
        [line] = [line for line in report.lines(outcome, goal) if "no configuration" in line]
        assert line.startswith(
            "no configuration keeps p99 within 0.100 ms on this machine; nearest"
        )


class TestJson:
    @pytest.mark.parametrize("target_ms", [None, 100.0, 0.1])
    def test_it_is_json_for_every_reader(self, target_ms):
        """Nothing infinite: most readers refuse it."""
        outcome, goal = found(target_ms=target_ms, answers=WRONG)
        outcome.rows[0].calls.failed = outcome.rows[0].calls.n
        content = report.to_json(outcome, goal, {"name": "m", "version": 1}, {"cores": 2})
        assert json.loads(json.dumps(content, allow_nan=False)) == content
        assert (content["chosen"] is None) == (target_ms == 0.1)
        assert content["nearest"]["gateway"]["n"] > 0
        assert len(content["rows"]) == len(outcome.rows)
        assert content["ruled_out"][0]["what"] == "openvino f32"
