"""The page of the second engine's figures, from a few results."""

import copy
import json

import pytest

from bench.engines_page import BEGIN, END, content, ratio, speed_cell, updated

MACHINE = {
    "date": "2026-11-30",
    "cpu": "A Processor",
    "cores": 2,
    "has_bfloat16": True,
    "load_average": 0.5,
    "keras": "3.15.1",
    "openvino": "2026.4.1",
    "tensorflow": "2.20.0",
}


def engine(rates, cpu, **more):
    figures = {"images_per_second": rates, "cpu_seconds_per_image": cpu}
    return {
        "load_seconds": 1.04,
        "memory_bytes": 200_000_000,
        "batch_difference": 2e-7,
        "batches": {"1": figures, "8": dict(figures)},
        **more,
    }


MEASURED = {
    "weights_bytes": 14_000_000,
    "outcome": "measured",
    "image": [224, 192],
    "images": 32,
    "convert_seconds": 0.62,
    "machine": MACHINE,
    "engines": {
        "tensorflow": engine([100, 50, 10], [0.02, 0.02, 0.02], memory_bytes=800_000_000),
        "openvino_f32": engine(
            [200, 150, 15], [0.01, 0.01, 0.01],
            difference=3.2e-6, log_difference=1e-6, top_1_agreement=1.0,
        ),
        "openvino_bf16": engine(
            [400, 200, 40], [0.005, 0.005, 0.005],
            difference=0.25, log_difference=0.0512, top_1_agreement=0.875,
        ),
    },
}  # fmt: skip
REFUSED = {
    "weights_bytes": 5_000_000,
    "outcome": "not converted",
    "words": "No translator for\n  SomeOp",
    "machine": MACHINE,
}


def rows_of(text, heading):
    part = text.partition(f"### {heading}\n")[2].partition("###")[0]
    return [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]


def test_a_ratio_is_the_median_over_rounds_not_a_ratio_of_medians():
    assert ratio(MEASURED, "openvino_f32", 1, "images_per_second") == 2
    assert ratio(MEASURED, "openvino_bf16", 8, "images_per_second") == 4
    assert speed_cell(MEASURED, "openvino_bf16", 1) == "4.00 / 4.00"
    assert speed_cell(MEASURED, "openvino_f32", 1, against="openvino_bf16") == "0.50 / 0.50"


def test_the_tables_are_sorted_by_name_and_have_every_cell():
    text = content({"Zeta": MEASURED, "Alpha": MEASURED})
    headings, *rows = rows_of(text, "Answers")
    assert [row[0] for row in rows] == ["Alpha", "Zeta"]
    assert rows[0][1:] == [
        "14", "224x192", "0.6", "3.2e-06", "32 of 32", "2.5e-01", "5.1%", "28 of 32", "2.0e-07",
    ]  # fmt: skip
    assert len(headings) == len(rows[0])
    headings, *rows = rows_of(text, "Speed and memory")
    assert rows[0] == [
        "Alpha", "2.00 / 2.00", "2.00 / 2.00", "4.00 / 4.00", "4.00 / 4.00",
        "50.0", "1.0 / 1.0 / 1.0", "800", "200", "200",
    ]  # fmt: skip
    assert len(headings) == len(rows[0])


def test_the_summary_counts_what_the_results_say():
    slower = copy.deepcopy(MEASURED)
    slower["engines"]["openvino_f32"]["batches"]["8"]["images_per_second"] = [50, 25, 5]
    text = content({"A": MEASURED, "B": slower, "C": REFUSED, "D": {"weights_bytes": 9}})
    assert "Of 4 applications 2 are converted, 2 of them measured; 1 not converted." in text
    assert "**bf16**: 56 of 64 answers name the same class" in text
    assert "at batch 1 2.00 times the images per second and 2.00 times those per second" in text
    assert "at batch 8 1.00 times the images per second" in text
    assert "(A: 2.00, the lowest)" in text
    assert "f32 / TensorFlow: 0.25 in the median" in text
    assert "A Processor, 2 cores that multiply bfloat16" in text
    assert "2026-11-30 on" in text
    assert "noise" not in text
    busy = {**MACHINE, "load_average": 9.0}
    assert "noise" in content({"A": {**MEASURED, "machine": busy}})


def test_what_has_no_figures_is_told_in_the_converters_words():
    converted = {"weights_bytes": 9_000_000, "convert_seconds": 1.5}
    text = content({"Odd": REFUSED, "Open": {"weights_bytes": 9_000_000}, "Later": converted})
    assert "Of 3 applications 1 are converted, 0 of them measured" in text
    assert "- Converted, not raced yet: Later\n" in text
    assert "- **Odd** (5 MB): not converted: `No translator for SomeOp`" in text
    assert "- Not tried yet: Open" in text
    assert "Without figures" not in content({"A": MEASURED})


def test_bfloat16_of_both_engines_is_compared_where_both_took_part():
    both = copy.deepcopy(MEASURED)
    both["engines"]["tensorflow_bf16"] = engine(
        [200, 100, 20], [0.01, 0.01, 0.01], top_1_agreement=1.0
    )
    _, *rows = rows_of(content({"A": both, "B": MEASURED}), "bfloat16 in both engines")
    assert rows == [
        ["A", *["4.00 / 4.00"] * 2, *["2.00 / 2.00"] * 4, "28 of 32, 32 of 32"],
    ]
    assert "bfloat16 in both engines" not in content({"B": MEASURED})


def test_the_page_keeps_what_is_around_the_tables():
    results = json.loads(json.dumps({"A": MEASURED}))
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    new = updated(page, results)
    assert new.startswith(f"before\n{BEGIN}\n")
    assert new.endswith(f"{END}\nafter\n")
    assert "old" not in new
    assert updated(new, results) == new
    with pytest.raises(ValueError, match="there is no"):
        updated("nothing here\n", results)
