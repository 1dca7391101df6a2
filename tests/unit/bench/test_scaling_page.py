"""docs/scaling.md says what was measured, and its sums are right."""

from __future__ import annotations

import copy
import json
import re

import pytest

from bench.scaling import PAGE, RESULTS
from bench.scaling_page import page
from bench.scaling_plan import Costs, Plan, largest_batch
from tests.support.processes import ROOT


@pytest.fixture
def results():
    return json.loads((ROOT / RESULTS).read_text(encoding="utf-8"))


def test_the_page_is_made_of_the_results(results):
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(results)


def test_every_figure_has_a_place_and_no_place_is_empty(results):
    assert not re.findall(r"\{\w+\}", page(results))
    changed = copy.deepcopy(results)
    for each in changed["set_ups"].values():
        each["loop_ms"] *= 2
    assert page(changed) != page(results)


def costs(**changes):
    values = {
        "loop_ms": 2.0, "decode_ms": 2.0, "model_server_ms": 12.0, "image_bytes": 50_000,
        "tensor_bytes": 150_000, "log_bytes": 500, "gateway_bytes": 100_000_000,
        "worker_bytes": 120_000_000, "model_server_bytes": 1_000_000_000, "series": 250,
    }  # fmt: skip
    return Costs(**(values | changes))


def test_what_one_core_and_one_process_answer():
    assert costs().per_core == 62.5
    assert costs().ratio == 3
    assert costs().per_process == pytest.approx(350)


def test_a_plan_adds_up():
    plan = Plan.of(1000, costs())
    assert (plan.gateway_cores, plan.model_server_cores) == (6, 18)
    assert (plan.processes, plan.model_servers, plan.connections) == (3, 3, 9)
    assert plan.memory_gb == pytest.approx(3 * 0.12 + 3 * 1.0)
    assert (plan.photos_gbit, plan.tensors_gbit) == (0.4, 1.2)
    assert plan.log_gb_per_day == pytest.approx(43.2)
    assert plan.rate_per_pair == pytest.approx(111.1, abs=0.1)


def test_nobody_runs_one_of_anything():
    plan = Plan.of(10, costs())
    assert (plan.processes, plan.model_servers) == (2, 2)


@pytest.mark.parametrize(("deadline", "size"), [(10, 0), (28, 1), (44, 2), (1000, 8)])
def test_a_deadline_holds_the_batch_before_and_its_own(deadline, size):
    assert largest_batch({"1": 12.0, "2": 20.0, "8": 70.0}, deadline, 4.0) == size
