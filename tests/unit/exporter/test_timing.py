"""Statistics against NumPy, and the fairness of the turns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.measure.timing import MIN_ROUNDS, Budget, interleave, summarise

DURATIONS = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60)


class Clock:
    """Moves only where a call says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@given(DURATIONS)
def test_the_figures_are_those_of_numpy(seconds):
    found, expected = summarise(seconds), 1000 * np.array(seconds)
    assert found.n == len(seconds)
    assert found.mean_ms == pytest.approx(expected.mean())
    for percent, value in ((50, found.p50_ms), (95, found.p95_ms), (99, found.p99_ms)):
        assert value == pytest.approx(np.percentile(expected, percent))
    if len(seconds) > 1:
        assert found.std_ms == pytest.approx(expected.std(ddof=1), abs=1e-6)


def test_a_single_value_has_no_deviation():
    assert summarise([0.002]).std_ms == 0


def test_nothing_measured_is_no_zero():
    with pytest.raises(ValueError, match="no durations"):
        summarise([])


def calls_of(clock, log, **seconds):
    def call(name):
        log.append(name)
        clock.now += seconds[name]

    return {name: lambda name=name: call(name) for name in seconds}


def test_each_round_begins_with_another_way():
    clock, log = Clock(), []
    interleave(calls_of(clock, log, a=1, b=1, c=1), Budget(0, rounds=3), clock=clock)
    assert "".join(log) == "abc" + "abc" + "abc" + "bca" + "cab"  # first, warm-up, rounds


def test_each_way_gets_its_own_durations():
    clock = Clock()
    found = interleave(calls_of(clock, [], slow=0.5, fast=0.25), Budget(0, rounds=4), clock=clock)
    assert list(found) == ["slow", "fast"]
    assert found["slow"].warm.mean_ms == found["slow"].warm.p99_ms == 500
    assert found["fast"].warm.p50_ms == 250
    assert found["fast"].warm.n == 4


def test_the_first_call_counts_only_without_warm_up():
    clock = Clock()
    durations = iter([9.0, 1.0, 1.0, 1.0])

    def call():
        clock.now += next(durations)

    found = interleave({"way": call}, Budget(0, rounds=2), clock=clock)["way"]
    assert found.first_call_ms == 9000
    assert found.warm.mean_ms == 1000
    assert found.with_first_call.mean_ms == pytest.approx((9000 + 1000 + 1000) / 3)
    assert found.with_first_call.n == found.warm.n + 1


@pytest.mark.parametrize(("seconds", "rounds"), [(0, MIN_ROUNDS), (10, 10)])
def test_time_is_per_way_and_slow_ways_still_get_some_rounds(seconds, rounds):
    clock = Clock()
    found = interleave(calls_of(clock, [], a=1.5, b=0.5), Budget(seconds), clock=clock)
    assert found["a"].warm.n == found["b"].warm.n == rounds
