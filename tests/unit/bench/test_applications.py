"""What the run over all applications chooses, how it reads an outcome, and the page it writes."""

import json

import pytest

from bench import applications_page
from bench.applications import Limits, due, outcome_of, read, write
from bench.process_memory import Peaks, Sizes, is_model_server

LIMITS = Limits(weights_bytes=600_000_000, memory_bytes=14_000_000_000, seconds=60)
PUBLISHED = {
    "weights_bytes": 100_000_000,
    "outcome": "published",
    "seconds": 41.7,
    "memory_bytes": {"main": 1_500_000_000, "model_server": 900_000_000, "together": 2_100_000_000},
    "version_bytes": 104_000_000,
    "image": [224, 192],
    "is_frozen": True,
    "parity": 3.4e-8,
    "encoded_parity": 1.2e-4,
    "spread": 0.5,
    "frameworks": {"keras": "3.15.1"},
    "load_seconds": 9.6,
    "answers": {
        "grpc": {"seconds": 0.0312, "difference": 1e-8},
        "http": {"seconds": 0.0488, "difference": 1e-8},
    },
}


def weighing(size_bytes, **more):
    return {"weights_bytes": size_bytes, **more}


def test_the_smallest_come_first_and_the_largest_not_at_all():
    results = {
        "Huge": weighing(600_000_001),
        "Middle": weighing(600_000_000),
        "Small": weighing(5),
        "Also": weighing(5),
    }
    assert due(results, None, LIMITS, is_again=False) == ["Also", "Small", "Middle"]


def test_what_has_a_result_is_measured_again_only_when_asked():
    results = {"Done": weighing(5, outcome="exit 4: refused"), "Open": weighing(6)}
    assert due(results, None, LIMITS, is_again=False) == ["Open"]
    assert due(results, None, LIMITS, is_again=True) == ["Done", "Open"]
    assert due(results, ["Done"], LIMITS, is_again=True) == ["Done"]


def test_results_are_read_back_as_written_and_begin_empty(tmp_path):
    path = tmp_path / "results" / "applications.json"
    assert read(path) == {}
    write(path, {"A": PUBLISHED})
    assert read(path) == {"A": PUBLISHED}
    assert [each.name for each in path.parent.iterdir()] == ["applications.json"]


@pytest.mark.parametrize(
    ("code", "together", "output", "outcome"),
    [
        (0, 5, "", "published"),
        (4, 5, "note: x\nrefused: too far\n\n", "exit 4: refused: too far"),
        (3, 5, "", "exit 3: it said nothing"),
        (-9, 14_200_000_000, "[6/7] proving", "ended at 14.2 GB of memory"),
    ],
)
def test_the_outcome_says_why(code, together, output, outcome):
    assert outcome_of(code, Peaks(together=together), LIMITS, output) == outcome


def test_peaks_are_each_of_their_own_moment():
    peaks = Peaks()
    peaks.add(Sizes(main=10, model_server=1))
    peaks.add(Sizes(main=2, model_server=7))
    assert peaks == Peaks(main=10, model_server=7, together=11)


@pytest.mark.parametrize(
    ("resident", "may_rise"), [((10, 1), False), ((11, 0), True), ((0, 8), True), ((9, 3), True)]
)
def test_a_peak_may_rise_only_where_an_upper_bound_is_above_it(resident, may_rise):
    assert Peaks(main=10, model_server=7, together=11).may_rise(Sizes(*resident)) is may_rise


@pytest.mark.parametrize(
    ("command", "is_one"),
    [
        (["/usr/bin/python3", "-m", "serving", "--port=1"], True),
        (["/usr/bin/tensorflow_model_server", "--port=1"], True),
        (["python", "-m", "exporter", "export", "--name", "serving"], False),
        (["python", "-m"], False),
        ([], False),
    ],
)
def test_the_model_server_is_known_by_its_command(command, is_one):
    assert is_model_server(command) is is_one


def test_a_published_application_has_every_cell():
    assert applications_page.row("Net", PUBLISHED) == [
        "Net", "100", "104", "224x192", "3.4e-08", "1.2e-04", "5.0e-01",
        "42", "1500", "900", "2100", "2600", "10", "31 / 49",
    ]  # fmt: skip


def test_memory_over_the_limit_stands_out():
    over = {**PUBLISHED, "memory_bytes": {**PUBLISHED["memory_bytes"], "together": 2_600_000_001}}
    assert "**2600**" in applications_page.row("Net", over)
    assert "within the limit" in applications_page.summary({"Net": over})
    assert "; 0 of them" in applications_page.summary({"Net": over, "Open": weighing(5)})


def test_the_page_keeps_what_is_around_the_table(tmp_path):
    page = tmp_path / "page.md"
    mark = "<!-- measured: written by bench/applications.py -->"
    page.write_text(f"before\n{mark}\nold\n<!-- /measured -->\nafter\n")
    refused = {**PUBLISHED, "outcome": "exit 4: refused"}
    results = json.loads(json.dumps({"B": PUBLISHED, "Refused": refused, "A": weighing(7_000_000)}))
    for _ in range(2):
        applications_page.write(page, results)
        text = page.read_text()
        lines = [line for line in text.splitlines() if line.startswith("| ")]
        assert text.startswith("before\n<!--")
        assert text.endswith("<!-- /measured -->\nafter\n")
        assert "old" not in text
        assert [line.split()[1] for line in lines] == ["application", "A", "B", "Refused"]
        assert len({line.count("|") for line in lines}) == 1
        assert "1 of 2 measured applications were published" in text


def test_a_page_without_marks_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    with pytest.raises(ValueError, match="there is no"):
        applications_page.write(page, {})
    assert page.read_text() == "nothing here\n"
