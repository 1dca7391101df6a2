"""What a worker is told: the same plan on both sides, and the same rows as ever."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from app.decode.plan import FloatScaling, Plan, Rendering, read_plan

RENDERING = Rendering(2, 2, "pad", 0.5, "nearest", antialias=False, exif=True, background=(1, 2, 3))
SCALING = FloatScaling(scale=2.0, offset=(-1.0, 0.0, 1.0), is_bgr=True)
PIXELS = np.full((2, 2, 3), (10, 20, 30), np.uint8)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(RENDERING, "content"),
        Plan(RENDERING, "json", is_string=True),
        Plan(RENDERING, "json", scaling=SCALING),
    ],
)
def test_a_plan_survives_the_way_to_a_worker(plan):
    read = read_plan(plan.to_bytes())
    assert (read.rendering, read.encoding, read.is_string) == (
        plan.rendering, plan.encoding, plan.is_string,
    )  # fmt: skip
    assert read.row(PIXELS) == plan.row(PIXELS)


def test_rows_by_encoding():
    assert Plan(RENDERING, "content").row(PIXELS) == PIXELS.tobytes()
    text = json.loads(Plan(RENDERING, "json", is_string=True).row(PIXELS))
    assert base64.b64decode(text["b64"]) == PIXELS.tobytes()
    numbers = json.loads(Plan(RENDERING, "json", scaling=SCALING).row(PIXELS))
    assert numbers[0][0] == [59.0, 40.0, 21.0]


def test_a_row_of_numbers_as_text_is_the_dearest():
    content, text = Plan(RENDERING, "content"), Plan(RENDERING, "json")
    assert text.peak_bytes > 5 * content.peak_bytes
    assert Plan(RENDERING, "json", is_string=True).peak_bytes == content.peak_bytes
