"""Who has had enough: decided from CPU seconds, places and who waits, without any process."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.decode.endings import SLOW_SECONDS
from app.decode.judge import Judge
from app.decode.workforce import Member

NOW = 100.0
LIMIT_SECONDS = 5.0


class Workforce:
    """Members with a job each, by the CPU seconds that it has used."""

    def __init__(self, *used, is_full=False):
        job = SimpleNamespace(is_over=False, deadline=NOW + 60)
        self.used = {Member(SimpleNamespace(), job, started_at=NOW): each for each in used}
        self.is_full = is_full
        self.slow = []
        self.killed = []

    @property
    def busy(self):
        return list(self.used)

    def cpu_seconds(self, member):
        return self.used[member]

    def make_way(self, member):
        member.is_slow = True
        self.slow.append(self.used[member])

    def kill(self, member, reason):
        member.killed_because = reason
        self.killed.append((self.used[member], reason))


def review(workforce, *, are_others_waiting=False):
    judge = Judge(workforce, limit_seconds=LIMIT_SECONDS, clock=lambda: NOW)
    judge.review(are_others_waiting=are_others_waiting)
    return workforce


def test_a_job_that_takes_long_makes_way_once():
    workforce = review(Workforce(SLOW_SECONDS, SLOW_SECONDS + 0.1))
    assert workforce.slow == [SLOW_SECONDS + 0.1]
    assert review(workforce).slow == [SLOW_SECONDS + 0.1]
    assert workforce.killed == []


def test_a_job_beyond_its_limit_ends_and_is_judged_once():
    workforce = review(Workforce(LIMIT_SECONDS, LIMIT_SECONDS + 0.1))
    assert workforce.killed == [(LIMIT_SECONDS + 0.1, "time")]
    assert review(workforce).killed == [(LIMIT_SECONDS + 0.1, "time")]


@pytest.mark.parametrize(
    ("used", "is_full", "are_others_waiting", "killed"),
    [
        ((1.1, 1.2), True, True, [(1.2, "pressure")]),
        ((0.9, 0.8), True, True, []),  # a fifth of the limit is everybody's
        ((1.1, 1.2), True, False, []),
        ((1.1, 1.2), False, True, []),
    ],
)
def test_the_dearest_job_ends_when_all_places_are_held_and_others_wait(
    used, is_full, are_others_waiting, killed
):
    workforce = Workforce(*used, is_full=is_full)
    assert review(workforce, are_others_waiting=are_others_waiting).killed == killed


def test_one_job_ends_at_a_time():
    workforce = Workforce(1.1, 1.2, is_full=True)
    for _ in range(2):  # the first one is not gone yet
        review(workforce, are_others_waiting=True)
    assert workforce.killed == [(1.2, "pressure")]
