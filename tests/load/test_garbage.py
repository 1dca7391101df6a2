"""The script that throws garbage: what it would call wrong. What is thrown: tests/integration."""

import pytest

from tests.load.garbage import judge
from tests.support.garbage_kind import Garbage
from tests.support.garbage_stack import Thrown

KIND = Garbage("x", "predict")
GOOD = Thrown(KIND, [("/classify", 502, True), ("/models", 200, False)], 0.1, 0.1, "")


def missed(thrown, livez=0.1, growth_mb=1.0):
    return [each.name for each in judge("grpc", [(thrown, livez)], growth_mb) if not each.is_met]


def with_answers(*answers, logged=""):
    return Thrown(KIND, answers, 0.1, 0.1, logged)


def test_a_named_problem_is_what_is_wanted():
    assert missed(GOOD) == []


@pytest.mark.parametrize(
    "thrown",
    [
        with_answers(("/classify", 200, False)),
        with_answers(("/classify", 404, True)),
        with_answers(("/classify", 502, False)),
        with_answers(("/classify", 0, False)),
        with_answers(("/classify", 502, True), ("/models", 429, True)),
        with_answers(("/classify", 502, True), logged="Task exception was never retrieved"),
    ],
    ids=["200", "404", "no problem", "no answer", "another page", "a log line"],
)
def test_anything_else_is_a_fault(thrown):
    assert missed(thrown) == ["grpc: kinds with a fault"]


def test_a_500_is_counted_on_every_page():
    thrown = with_answers(("/classify", 502, True), ("/healthz", 500, True))
    assert missed(thrown) == ["grpc: kinds with a 500", "grpc: kinds with a fault"]


def test_time_and_memory_have_bars():
    slow = Thrown(KIND, GOOD.answers, 0.1, 9.0, "")
    assert missed(slow) == ["grpc: longest healing"]
    assert missed(GOOD, livez=3.0) == ["grpc: longest /livez"]
    assert missed(GOOD, growth_mb=900.0) == ["grpc: growth of the memory's peak"]


def test_a_status_that_is_garbage_need_not_touch_the_photo():
    answers = [("/classify", 200, False), ("/models/demo", 502, True)]
    assert Thrown(Garbage("x", "status"), answers, 0.1, 0.1, "").faults == []
