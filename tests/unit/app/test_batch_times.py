"""How long batches take, learned from those that ran."""

from __future__ import annotations

import random

import pytest

from app.classify.batch_times import BatchTimes


def learned(fixed, per_item, sizes, *, noise=0.0):
    times, chance = BatchTimes(), random.Random(1)  # noqa: S311 - noise, the same in every run
    for size in sizes:
        factor = 1 + noise * chance.uniform(-1, 1)
        times.observe(size, (fixed + per_item * size) * factor)
    return times


def test_nothing_is_known_at_first():
    times = BatchTimes()
    assert not times.is_known
    assert times.predict(8) == 0
    assert times.size_within(0.1, most=32) == 32


def test_one_batch_is_taken_to_be_its_items_time():
    times = learned(0.0, 0.5, [2])
    assert times.predict(4) == pytest.approx(2.0)
    assert times.size_within(1.6, most=32) == 3


@pytest.mark.parametrize(
    ("fixed", "per_item"), [(0.0, 0.035), (0.1, 0.001), (0.6, 0.02), (0.002, 0.0075)]
)
def test_the_line_is_found_within_a_fifth(fixed, per_item):
    times = learned(fixed, per_item, [1, 3, 2, 8, 5, 4, 16, 7] * 3, noise=0.05)
    for size in (1, 8, 16):
        assert times.predict(size) == pytest.approx(fixed + per_item * size, rel=0.2)


def test_a_slower_model_is_noticed_within_some_batches():
    times = learned(0.0, 0.01, [4] * 50)
    for _ in range(15):
        times.observe(4, 0.4)
    assert times.predict(4) == pytest.approx(0.4, rel=0.3)


@pytest.mark.parametrize(
    ("fixed", "per_item", "expected"),
    [
        (0.0, 0.035, 7),  # 0.25 s / 35 ms
        (0.0, 1.0, 1),  # always one
        (0.05, 0.001, 32),  # all that may be
        (0.3, 0.02, 15),  # too long already: but 15 items cost no more than the fixed part
    ],
)
def test_a_batch_is_as_large_as_its_time_allows(fixed, per_item, expected):
    times = learned(fixed, per_item, [1, 2, 4, 8, 3] * 5)
    assert times.size_within(0.25, most=32) == pytest.approx(expected, abs=2)


def test_now_and_then_a_larger_batch_is_due_to_learn_whether_that_pays():
    times = BatchTimes()
    due = []
    for number in range(33):
        if times.is_due_a_try:
            due.append(number)
        times.observe(1, 0.1)
    assert due == [0, 2, 4, 8, 16, 32]


@pytest.mark.parametrize(
    ("fixed", "per_item", "expected"), [(0.0, 0.03, 8), (0.01, 0.01, 19), (0.1, 0.001, 32)]
)
def test_a_batch_is_no_larger_than_what_saves_a_twentieth(fixed, per_item, expected):
    times = learned(fixed, per_item, [1, 2, 4, 8, 3] * 5)
    assert times.worthwhile_size(32) == pytest.approx(expected, abs=2)
    assert times.worthwhile_size(4) == 4


@pytest.mark.parametrize(("fixed", "per_item", "expected"), [(0.0, 0.03, 1), (0.1, 0.02, 11)])
def test_batches_pay_until_a_third_of_their_time_is_fixed(fixed, per_item, expected):
    times = learned(fixed, per_item, [1, 2, 4, 8, 3] * 5)
    assert times.paying_size == pytest.approx(expected, abs=2)
