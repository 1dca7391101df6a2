"""Memory for decoding: neither large images nor small ones can keep the others out."""

from __future__ import annotations

import pytest

from app.decode.budget import MemoryBudget


@pytest.fixture
def budget():
    return MemoryBudget(1600)


def test_everything_that_is_held_is_counted_and_comes_back(budget):
    for size in (1000, 50, 400):
        assert budget.fits(size)
        budget.take(size)
    assert budget.held_bytes == 1450
    for size in (400, 1000, 50):
        budget.give_back(size)
    assert budget.held_bytes == 0


def test_the_whole_is_never_exceeded(budget):
    for _ in range(16):
        assert budget.fits(100)
        budget.take(100)
    assert not budget.fits(1)


def test_large_images_leave_an_eighth_to_small_ones(budget):
    assert budget.largest_bytes == 1400
    budget.take(1400)
    assert not budget.fits(101)
    assert budget.fits(100)


def test_small_images_may_hold_all_of_it_until_a_large_one_waits(budget):
    for _ in range(2):
        budget.take(100)
    assert budget.fits(100)
    assert not budget.fits(100, is_a_large_one_waiting=True)
    budget.give_back(100)
    assert budget.fits(100, is_a_large_one_waiting=True)


def test_one_small_image_always_fits_beside_a_large_one_that_waits():
    tight = MemoryBudget(1600)
    assert tight.fits(100, is_a_large_one_waiting=True)
    assert tight.is_large(101)
    assert not tight.is_large(100)
