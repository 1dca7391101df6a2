"""Quantiles over the last minutes."""

from __future__ import annotations

import pytest

from app.latencies import WINDOW_SECONDS, WINDOWS, Latencies


def test_quantiles_by_model_version_and_stage():
    latencies = Latencies(lambda: 0.0)
    for milliseconds in range(1, 101):
        latencies.record("m", "3", {"decode": milliseconds / 1000})
    summary = latencies.summary()[("m", "3", "decode")]
    assert summary["count"] == 100
    assert summary["p50"] == pytest.approx(50, rel=0.03)
    assert summary["p99"] == pytest.approx(99, rel=0.03)


def test_old_minutes_are_forgotten():
    now = [0.0]
    latencies = Latencies(lambda: now[0])
    latencies.record("m", "1", {"total": 1.0})
    now[0] = WINDOW_SECONDS
    latencies.record("m", "1", {"total": 1.0})
    assert latencies.summary()[("m", "1", "total")]["count"] == 2
    now[0] = WINDOW_SECONDS * (WINDOWS + 0.5)
    assert latencies.summary()[("m", "1", "total")]["count"] == 1
    now[0] *= 3
    assert latencies.summary() == {}
