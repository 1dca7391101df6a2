"""The fuzzer's first cases against a real gateway, and what it would call wrong."""

import random
import sys

import pytest

from tests.load.client import Answer
from tests.load.fuzz import Findings, fuzz, judge, note
from tests.load.mutations import Case, case, mutated, seeds
from tests.load.running import target

PROBLEM = b'{"type": "/problems/x", "title": "X", "status": 422}'


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_first_cases_are_answered_without_a_5xx():
    with target(model="fake") as running:
        findings = fuzz(running, seed=1, cases=400, clients=8)
    assert sum(sum(each.values()) for each in findings.outcomes.values()) == 400
    assert findings.outcomes["image"]["200"] > 10
    assert findings.outcomes["image"]["422"] > 10
    assert [each for each in findings.wrong if not each[2].startswith("smuggled")] == []


def test_a_case_is_made_again_from_its_seed_and_number():
    assert case(1, 7) == case(1, 7)
    assert len({case(1, number).request for number in range(50)}) == 50
    assert case(2, 7) != case(1, 7)
    assert {case(1, number).kind for number in range(500)} == {
        "image", "chunked", "form", "parameters", "route", "raw", "ambiguous"
    }  # fmt: skip


def test_seeds_have_every_format_and_mutations_change_them():
    starts = {data[:2] for data in seeds()}
    assert {b"\xff\xd8", b"\x89P", b"RI", b"GI", b"BM"} <= starts
    rng = random.Random(1)  # noqa: S311
    changed = sum(mutated(rng, data) != data for data in seeds())
    assert changed > 0.9 * len(seeds())


@pytest.mark.parametrize(
    ("status", "body", "is_allowed", "wrong"),
    [
        (200, b'{"predictions":[]}', True, []),
        (422, PROBLEM, True, []),
        (504, PROBLEM, True, ["5xx"]),
        (0, b"", True, ["missing"]),
        (404, b"Not Found", True, ["no problem"]),
        (200, b'{"predictions":[]}', False, ["without a key"]),
        (422, PROBLEM, False, []),
    ],
)
def test_an_answer_is_judged(status, body, is_allowed, wrong):
    findings = Findings()
    answer = Answer(status, 0.0, 1.0, body=body, error="" if status else "EOFError")
    note(findings, 3, Case("image", b""), answer, is_allowed=is_allowed)
    assert [each[2].partition(":")[0] for each in findings.wrong] == wrong
    assert [each.is_met for each in judge(findings)].count(False) == len(wrong)
