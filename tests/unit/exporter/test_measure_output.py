"""What `benchmark` and `compare` print, draw and hand to programs."""

import io
import json
import sys

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from exporter.cli.measuring import MAX_BATCH_SIZE, require_folder, to_sizes
from exporter.errors import FailedError, UsageError
from exporter.measure import benchmark, comparison, machine, plot, tables
from exporter.measure.comparison import Contestant
from exporter.measure.memory import Peak
from exporter.measure.timing import Budget, Timing, figure
from exporter.progress import SilentReporter

PIXELS = np.arange(3 * 4 * 4 * 3, dtype=np.uint8).reshape(3, 4, 4, 3)
WAYS = ("model.predict", "frozen+bfloat16", "TensorFlow Lite")


@pytest.fixture(scope="module")
def seen():
    return []


@pytest.fixture(scope="module")
def results(seen):
    def answer(images):
        seen.append(images)
        return images

    return benchmark.run(
        dict.fromkeys(WAYS, answer), PIXELS, [1, 8], Budget(0, rounds=3), SilentReporter()
    )


@pytest.fixture(scope="module")
def rows():
    def contestant(name, top_1, peak):
        return Contestant(name, lambda images: images, PIXELS, 287_210, 1_700_000, peak, top_1)

    entered = [
        contestant("digits:1", 0.9944, Peak(600_000_000, 700_000_000)),
        contestant("a-model-of-a-rather-long-name:12", None, None),
    ]
    return comparison.run(entered, [8], Budget(0, rounds=3), SilentReporter())


def printed(*tables_):
    console = Console(width=200, file=io.StringIO())
    for table in tables_:
        console.print(table)
    return console.file.getvalue()


def test_every_way_is_measured_at_every_batch_size_on_batches_of_that_size(results, seen):
    assert [(each.way, each.batch_size) for each in results] == [
        (way, size) for size in (1, 8) for way in WAYS
    ]
    assert {images.shape for images in seen} == {(1, 4, 4, 3), (8, 4, 4, 3)}
    assert (seen[-1] == PIXELS[[0, 1, 2, 0, 1, 2, 0, 1]]).all()


def test_per_image_and_throughput_belong_to_the_batch(results):
    for each in results:
        warm = each.measured.warm
        assert each.per_image_ms * each.batch_size == pytest.approx(warm.p50_ms)
        assert each.images_per_second * warm.mean_ms == pytest.approx(1000 * each.batch_size)


def test_the_json_has_the_documented_fields(results):
    content = benchmark.to_json({"name": "m"}, machine.describe(), results, {"frozen": "too large"})
    again = json.loads(json.dumps(content))
    assert again == content
    assert set(content) == {"schema_version", "model", "machine", "missing", "results"}
    timing = {"n", "mean_ms", "std_ms", "p50_ms", "p95_ms", "p99_ms"}
    for each in content["results"]:
        extra = {"way", "batch_size", "first_call_ms", "per_image_ms", "images_per_second"}
        assert set(each) == timing | extra | {"without_warmup"}
        assert set(each["without_warmup"]) == timing
        assert each["without_warmup"]["n"] == each["n"] + 1


def test_tables_fit_into_80_columns(results, rows):
    text = printed(*tables.benchmark_tables(results), tables.comparison_table(rows))
    assert max(map(len, map(str.rstrip, text.splitlines()))) <= 80 + len(rows[1].name) - 12
    narrow = Console(width=80, file=io.StringIO())
    for table in tables.benchmark_tables(results):
        narrow.print(table)
    lines = narrow.file.getvalue().splitlines()
    assert sum(line.startswith(WAYS) for line in lines) == 2 * len(WAYS)
    assert "…" not in narrow.file.getvalue()


def test_a_comparison_as_markdown(rows):
    head, rule, *body = tables.comparison_markdown(rows).splitlines()
    assert head == "| model | params | disk | memory | p50 | p95 | img/s | top-1 |"
    assert rule.count("---") == 8
    assert body[0].startswith("| digits:1 | 0.29 M | 1.7 MB | 100.0 MB | ")
    assert body[0].endswith(" | 0.9944 |")
    assert "| 1.7 MB | - | " in body[1]
    assert body[1].endswith(" | - |")


def test_a_comparison_for_programs(rows):
    content = json.loads(json.dumps(comparison.to_json(rows, machine.describe())))
    first = content["models"][0]
    assert (first["memory_bytes"], first["top_1"]) == (100_000_000, 0.9944)
    assert first["best_batch_size"] in {1, 8}
    assert set(first["latency"]) == {"n", "mean_ms", "std_ms", "p50_ms", "p95_ms", "p99_ms"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0123, "0.012"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1234")],
)
def test_figures_have_three_digits(value, text):
    assert figure(value) == text


def test_the_machine_is_told():
    found = machine.describe()
    assert found["cores"] >= 1
    assert found["memory_bytes"] > 1e8
    assert found["tensorflow"].startswith("2.20")
    assert len(tables.machine_lines(found)) == 2


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("model name : X\nflags : fpu avx512_bf16\n\nmodel name : Y", True),
        ("flags : fpu avx512f", False),
        ("Features : fp asimd bf16", True),
        ("", False),
    ],
)
def test_bfloat16_is_read_from_the_first_processors_flags(tmp_path, monkeypatch, cpuinfo, expected):
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo)
    monkeypatch.setattr(machine, "_CPUINFO", file)
    assert machine.has_bfloat16() is expected


def test_batch_sizes_are_ascending_and_unique():
    assert to_sizes("8, 1,8") == [1, 8]


@pytest.mark.parametrize("text", ["", "a", "0", "1,,2", "-1", "1.5", str(MAX_BATCH_SIZE + 1), "²"])
def test_batch_sizes_that_are_none(text):
    with pytest.raises(UsageError, match="--batch"):
        to_sizes(text)


def test_a_file_without_a_folder_is_noticed_first(tmp_path):
    require_folder(None, tmp_path / "a.json")
    with pytest.raises(UsageError, match="there is no folder"):
        require_folder(tmp_path / "nowhere" / "a.json")


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"sightserve\[plots\]"):
        plot.require_matplotlib()


def test_plots_are_png_files(results, rows, tmp_path):
    plot.benchmark_png(results, "m", tmp_path / "b.png")
    plot.comparison_png(rows, tmp_path / "c.png")
    for name in ("b.png", "c.png"):
        with Image.open(tmp_path / name) as image:
            assert image.format == "PNG"
            assert len(image.convert("RGB").getcolors(1 << 20)) > 3
    with pytest.raises(FailedError, match="--png"):
        plot.comparison_png(rows, tmp_path)


def test_the_best_batch_size_is_that_of_the_highest_throughput():
    """A model that takes 10 ms however large the batch is."""
    timings = {size: Timing(3, 10.0, 0.0, 10.0, 10.0, 10.0) for size in (1, 4, 16)}
    contestant = Contestant("m", lambda images: images, PIXELS, 1, None, None, None)
    row = comparison.row_of(contestant, timings)
    assert (row.best_batch_size, row.images_per_second) == (16, 1600.0)
