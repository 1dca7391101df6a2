"""Events per second."""

from __future__ import annotations

from app.rate import Rate


def test_the_mean_of_the_last_ten_seconds_and_of_less_before_these_are_over():
    now = [100.0]
    rate = Rate(lambda: now[0])
    assert rate.per_second == 0
    rate.add()
    rate.add()
    now[0] = 100.5
    assert (rate.per_second, rate.uptime_seconds) == (2.0, 0.5)
    now[0] = 104.0
    rate.add()
    assert rate.per_second == 3 / 4
    now[0] = 110.9
    assert rate.per_second == 3 / 10
    now[0] = 111.0
    assert rate.per_second == 1 / 10
    now[0] = 200.0
    assert (rate.per_second, rate.total) == (0, 3)


def test_what_is_kept_does_not_grow_with_events():
    now = [0.0]
    rate = Rate(lambda: now[0])
    for step in range(10_000):
        now[0] = step / 100
        rate.add()
    now[0] = 100.0
    assert (rate.per_second, rate.total) == (100.0, 10_000)
    assert len(rate._counts) <= 11
