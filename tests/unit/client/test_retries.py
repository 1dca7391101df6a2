"""When the client asks again."""

from itertools import pairwise

import pytest

from sightserve.client.errors import OverloadedError, Problem, TransportError
from sightserve.client.retries import NEVER, Retries


def overloaded(retry_after=None):
    return OverloadedError(Problem(429, "/problems/overloaded", "T", retry_after=retry_after))


def pause(error, attempt=1, remaining=30.0, jitter=0.0, retries=None):
    return (retries or Retries()).pause(attempt, error, remaining_seconds=remaining, jitter=jitter)


@pytest.mark.parametrize(("jitter", "expected"), [(0.0, 4.0), (1.0, 5.0)])
def test_retry_after_is_waited_for_in_full_and_at_most_a_quarter_more(jitter, expected):
    assert pause(overloaded(4.0), jitter=jitter) == expected


def test_a_pause_beyond_the_deadline_is_not_begun():
    assert pause(overloaded(4.0), remaining=4.0) is None


def test_pauses_double_up_to_a_bound():
    retries = Retries(count=20)
    pauses = [pause(overloaded(), attempt, 1e9, 1.0, retries) for attempt in range(1, 21)]
    assert pauses[:3] == [0.1, 0.2, 0.4]
    assert pauses[-1] == 5.0
    assert all(later >= earlier for earlier, later in pairwise(pauses))


def test_after_so_many_attempts_it_is_over():
    assert pause(overloaded(), attempt=4) is not None
    assert pause(overloaded(), attempt=5) is None
    assert pause(overloaded(), retries=NEVER) is None


def test_what_is_not_worth_it_is_not_asked_again():
    assert pause(TransportError("cut", is_retriable=False)) is None
