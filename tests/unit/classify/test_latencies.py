"""Quantiles of the summary."""

import random

import pytest

from sightserve.classify.latencies import Latencies


@pytest.mark.parametrize("fraction", [0.5, 0.95, 0.99, 1.0])
def test_a_quantile_is_never_understated_and_at_most_one_percent_too_high(fraction):
    generator = random.Random(3)  # noqa: S311 - times, no secret
    values = sorted(generator.expovariate(20) for _ in range(1000))
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    exact = values[int(fraction * 1000) - 1]
    assert exact <= latencies.quantile(fraction) * (1 + 1e-12)
    assert latencies.quantile(fraction) <= exact * 1.01 * (1 + 1e-12)


def test_of_nothing_it_is_zero():
    assert Latencies().quantile(0.99) == 0.0
