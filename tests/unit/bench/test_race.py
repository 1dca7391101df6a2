"""What the race makes of its measurements: figures, bars, and the page."""

from __future__ import annotations

import copy
import json

import pytest

from bench.race import figures, page, rows
from bench.race.measure import void

CONTENDERS = {
    "ours-grpc": (100.0, 12.0),
    "openvino-f32": (150.0, 8.0),
    "ours-rest": (80.0, 14.0),
    "litserve": (50.0, 30.0),
    "keras-predict": (10.0, 90.0),
}
ROUNDS = (1.0, 0.5, 1.1)
"""How fast the machine is in each."""


def measurement(key, **changes):
    rate, p50 = CONTENDERS[key]
    values = {
        "contender": key, "phase": "closed", "mode": "closed", "size": "500x375", "body": "raw",
        "clients": 32, "rate": None, "load": None, "round": 0, "n": 300, "requests": 310,
        "seconds": 3.0, "requests_per_second": rate, "failures": {}, "void": "",
        "latency_ms": {"p50": p50, "p90": 2 * p50, "p99": 3 * p50, "max": 4 * p50},
        "cpu_ms": {"gateway": 0.9, "decode workers": 2.5, "model server": 12.0},
        "client_cpu_ms": 0.1,
        "resident_mb": {"gateway": 150.0, "model server": 200.0 if "openvino" in key else 600.0},
    }  # fmt: skip
    return {**values, **changes}


def measurements(key):
    rate, p50 = CONTENDERS[key]
    found = [
        measurement(
            key, clients=clients, round=number, requests_per_second=rate * speed,
            latency_ms={"p50": p50 / speed, "p90": 1, "p99": 2, "max": 3},
        )
        for number, speed in enumerate(ROUNDS)
        for clients in (1, 32)
    ]  # fmt: skip
    opened = {"phase": "open", "mode": "open", "clients": None, "rate": rate * 0.7, "load": 70}
    return [*found, measurement(key, **opened), measurement(key, phase="sizes", size="1280x960")]


@pytest.fixture
def run():
    return {
        "model": "MobileNetV2", "at": "2026-11-30T12:00:00+00:00", "revision": "abc", "seconds": 60,
        "machine": {
            "cpu": "CPU | of a kind", "flags": ["avx2"], "cores": 2, "system": "Linux 6",
            "python": "3.13.1", "cpu_busy_percent": 1.0,
        },
        "versions": {"litserve": "0.2.19", "tensorflow": "2.20.0"},
        "options": {
            "clients": [1, 32], "loads": [70], "sizes": ["1280x960"], "rounds": 3, "seconds": 3.0,
            "is_quick": False,
        },
        "pictures": {"500x375": {"n": 96, "mean_bytes": 51_000}},
        "contenders": [
            *(
                {
                    "key": key, "title": f"title of {key}", "what": "more",
                    "body": "raw", "skipped": "",
                    "is_ours": "ours" in key or "openvino" in key, "packages": ["litserve"],
                    "setting": {"workers": "2"}, "tried": [{}, {}], "commands": [],
                }
                for key in CONTENDERS
            ),
            {
                "key": "openvino-int8", "title": "int8", "what": "x", "body": "raw",
                "is_ours": True,
                "skipped": "not proven in int8", "packages": [], "setting": {}, "tried": [],
                "commands": [],
            },
        ],
        "floors": [
            {
                "engine": "tensorflow", "round": number, "batch": 8, "decode_ms": 2.4,
                "model_ms": 10.0, "requests_per_second": 125.0 * speed,
            }
            for number, speed in enumerate(ROUNDS)
        ],
        "directs": [
            {
                "contender": "ours-grpc", "round": number, "load": None, "do": "one",
                "latency_ms": {"p50": 10.0 / speed},
            }
            for number, speed in enumerate(ROUNDS)
        ]
        + [
            {
                "contender": "ours-grpc", "round": 0, "load": 70, "do": "open",
                "latency_ms": {"p50": 11.0, "p90": 20.0, "p99": 31.0},
            }
        ],
        "measurements": [each for key in CONTENDERS for each in measurements(key)],
    }  # fmt: skip


def bar(run, name):
    return next(each for each in figures.bars(run) if each.name == name)


def test_ratios_are_of_one_round_so_a_slow_round_does_not_change_them(run):
    assert figures.ratio(run, "ours-grpc", "litserve") == 2
    assert figures.to_floor(run, "ours-grpc", "tensorflow") == pytest.approx(0.8)
    assert figures.to_direct(run, "ours-grpc") == pytest.approx(1.2)
    assert figures.p50_ratio(run, "openvino-f32", "ours-grpc") == pytest.approx(8 / 12)


def test_bars_are_met_missed_or_not_measured(run):
    assert bar(run, "Sightserve to LitServe, its best setting").verdict == "met"
    assert bar(run, "TensorFlow engine to the floor").verdict == "missed by 11%"
    assert bar(run, "Sightserve to FastAPI + JSON lists").verdict == "not measured"
    assert bar(run, "added latency at 70 % load, p50, ms").value == pytest.approx(1.0)
    assert bar(run, "added latency at 70 % load, p99, ms").value == pytest.approx(5.0)
    assert bar(run, "gateway CPU beside decoding, ms, raw body").value == pytest.approx(1.0)
    assert bar(run, "model server's memory, OpenVINO to TensorFlow").value == pytest.approx(1 / 3)


def test_bars_are_higher_where_the_processor_has_amx(run):
    name = "OpenVINO to the best TensorFlow set-up"
    assert (bar(run, name).value, bar(run, name).bar) == (pytest.approx(1.5), 1.15)
    run["machine"]["flags"] = ["amx_bf16"]
    assert bar(run, name).verdict == "missed by 25%"


def test_a_failure_voids_a_contenders_figure_and_the_ratios_with_it(run):
    for each in run["measurements"]:
        if each["contender"] == "litserve" and each["clients"] == 32 and each["round"] == 1:
            each["failures"] = {"wrong answer": 1}
            each["void"] = void(each)
            break
    assert figures.rate(run, "litserve") is None
    assert figures.rate(run, "litserve", 1) is not None
    assert bar(run, "Sightserve to LitServe, its best setting").verdict == "not measured"
    text = page.page({"runs": {"MobileNetV2": run}})
    assert "void: 32 clients, 500x375, raw: 1 wrong answer" in text


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({"n": 5, "failures": {}}, ""),
        ({"n": 5, "failures": {"HTTP 429": 1, "timeout": 2}}, "1 HTTP 429, 2 timeout"),
        ({"n": 0, "failures": {}}, "no answer in time"),
    ],
)
def test_what_voids_a_measurement(seen, why):
    assert void(seen) == why


def test_the_page_says_ratios_first_then_where_and_with_what(run):
    text = page.page({"runs": {"MobileNetV2": run}})
    order = [
        "## MobileNetV2", "2 cores of CPU | of a kind",
        "| Sightserve to LitServe, its best setting | 2.00 |",
        "pictures/race-mobilenetv2-throughput.png", "### Requests per second, by clients",
        "### Latency in ms", "### The floor", "### Who took part", "litserve 0.2.19; workers 2",
        "**int8**, x: not here, not proven in int8.", "## How it is measured",
    ]  # fmt: skip
    places = [text.index(each) for each in order]
    assert places == sorted(places)
    assert "quick run" not in text
    run["options"]["is_quick"] = True
    assert "quick run" in page.page({"runs": {"MobileNetV2": run}})


def test_every_row_has_as_many_cells_as_the_head(run):
    for each in rows.tables(run):
        assert each.rows
        assert {len(row) for row in each.rows} == {len(each.head)}


def test_a_run_that_was_interrupted_at_once_makes_a_page_too(run):
    empty = copy.deepcopy(run) | {"measurements": [], "floors": [], "directs": []}
    text = page.page({"runs": {"MobileNetV2": empty}})
    assert {each.verdict for each in figures.bars(empty)} == {"not measured"}
    assert "## How it is measured" in text


def test_plots_are_drawn_of_what_was_measured(run, tmp_path):
    from bench.race.plots import draw  # noqa: PLC0415 - matplotlib

    draw(run, tmp_path, page.picture_names(run))
    for name in page.picture_names(run):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_results_of_something_else_are_not_overwritten(tmp_path):
    path = tmp_path / "race.json"
    assert page.load(path) == {"schema_version": 1, "runs": {}}
    for text in ("{", "[]", json.dumps({"schema_version": 99})):
        path.write_text(text)
        with pytest.raises(SystemExit, match="no results of this race"):
            page.load(path)


def test_the_page_in_the_repository_is_that_of_its_results():
    text = page.page(page.load(page.RESULTS))
    assert page.PAGE.read_text() == text, "run: python -m bench.race.page"
