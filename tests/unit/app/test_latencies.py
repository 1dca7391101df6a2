"""Quantiles over the last minutes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.latencies import WINDOW_SECONDS, WINDOWS, Latencies


def test_quantiles_by_model_version_and_stage():
    latencies = Latencies(lambda: 0.0)
    for milliseconds in range(1, 101):
        latencies.record("m", 3, {"decode": milliseconds / 1000})
    summary = latencies.summary()[("m", 3, "decode")]
    assert summary["count"] == 100
    assert summary["mean"] == 50.5
    assert summary["p50"] == pytest.approx(50, rel=0.03)
    assert summary["p99"] == pytest.approx(99, rel=0.03)


def test_a_quantile_is_never_understated():
    latencies = Latencies(lambda: 0.0)
    for milliseconds in [*range(1, 19), 292]:
        latencies.record("m", 1, {"total": milliseconds / 1000})
    summary = latencies.summary()[("m", 1, "total")]
    assert (summary["p99"], summary["max"]) == (292.0, 292.0)


@given(st.lists(st.floats(1e-6, 100.0), min_size=1, max_size=60))
def test_a_quantile_lies_at_or_up_to_two_percent_above_the_value_of_its_rank(values):
    latencies = Latencies(lambda: 0.0)
    for value in values:
        latencies.record("m", 1, {"total": value})
    summary = latencies.summary()[("m", 1, "total")]
    ordered = sorted(1000 * value for value in values)
    for name, fraction in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        exact = ordered[math.ceil(fraction * len(ordered)) - 1]
        assert exact <= summary[name] * (1 + 1e-9)
        assert summary[name] <= exact * 1.0201 + 0.001
    assert ordered[-1] <= summary["max"] * (1 + 1e-9)


def test_old_minutes_are_forgotten():
    now = [0.0]
    latencies = Latencies(lambda: now[0])
    latencies.record("m", 1, {"total": 1.0})
    now[0] = WINDOW_SECONDS
    latencies.record("m", 1, {"total": 1.0})
    assert latencies.summary()[("m", 1, "total")]["count"] == 2
    now[0] = WINDOW_SECONDS * (WINDOWS + 0.5)
    assert latencies.summary()[("m", 1, "total")]["count"] == 1
    now[0] *= 3
    assert latencies.summary() == {}
