"""Rate limits on a clock that the tests move."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.debts import SharedDebts, new_shared_memory
from app.access.limits import Limiter, Meter, Rate, parse_rate
from app.errors import RateLimitedError
from tests.support.processes import ROOT


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def admitted(limiter, client, tries):
    """How many of so many tries are let in."""
    count = 0
    for _ in range(tries):
        try:
            Meter("key", limiter, client).admit()
        except RateLimitedError:
            continue
        count += 1
    return count


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("100/s", Rate(100, 1)), (" 6/m ", Rate(6, 60)), ("1/h", Rate(1, 3600)),
        ("7/d", Rate(7, 86_400)), ("", None), (None, None), (Rate(1, 1), Rate(1, 1)),
    ],
)  # fmt: skip
def test_a_rate_is_images_per_time(text, rate):
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["0/s", "100", "100/x", "-1/s", "1.5/s", "1/s/s", "1 / s", "/s"])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="such as 100/s"):
        parse_rate(text)


def test_the_quota_may_come_at_once_and_flows_back_evenly(clock):
    limiter = Limiter(Rate(10, 60), clock=clock)
    assert admitted(limiter, "a", 20) == 10
    clock.now += 5.9
    assert admitted(limiter, "a", 5) == 0
    clock.now += 0.2
    assert admitted(limiter, "a", 5) == 1
    clock.now += 600
    assert admitted(limiter, "a", 20) == 10


def test_clients_do_not_share(clock):
    limiter = Limiter(Rate(1, 1), clock=clock)
    assert admitted(limiter, "a", 2) == admitted(limiter, "b", 2) == 1


def test_a_refusal_says_when_to_come_back_and_then_it_is_true(clock):
    limiter = Limiter(Rate(10, 60), clock=clock)
    meter = Meter("key", limiter, "a")
    admitted(limiter, "a", 10)
    with pytest.raises(RateLimitedError, match="at most 10/m images for each key") as caught:
        meter.admit()
    assert caught.value.retry_after_seconds == pytest.approx(6)
    clock.now += caught.value.retry_after_seconds
    meter.admit()


def test_a_batch_is_paid_for_into_debt(clock):
    limiter = Limiter(Rate(10, 1), clock=clock)
    meter = Meter("key", limiter, "a")
    meter.admit()
    meter.charge(31)
    assert meter.standing().remaining == 0
    assert meter.standing().retry_in_seconds == pytest.approx(2.3)
    assert meter.standing().window_seconds == pytest.approx(2.3)
    clock.now += 2.2
    assert admitted(limiter, "a", 1) == 0
    clock.now += 0.2
    assert admitted(limiter, "a", 1) == 1


@given(spent=st.integers(0, 40), pause=st.floats(0, 30))
def test_who_spreads_what_remains_over_the_window_is_never_refused(spent, pause):
    clock = Clock()
    limiter = Limiter(Rate(20, 10), clock=clock)
    meter = Meter("key", limiter, "a")
    meter.charge(spent)
    clock.now += pause
    for _ in range(30):
        standing = meter.standing()
        assert standing.window_seconds > 0
        assert standing.remaining / standing.window_seconds == pytest.approx(
            2 if standing.remaining else 0
        )
        clock.now += standing.window_seconds / max(1, standing.remaining)
        meter.admit()


def test_memory_is_bounded_and_who_pays_last_is_remembered(clock):
    limiter = Limiter(Rate(1, 60), clock=clock, max_clients=100)
    busy = 0
    for number in range(1000):
        admitted(limiter, f"client {number}", 1)
        busy += admitted(limiter, "busy", 1)
        limiter.take("busy", 1)
    assert (len(limiter), busy) == (100, 1)
    assert [admitted(limiter, each, 1) for each in ("busy", "client 999", "client 0")] == [0, 0, 1]


def test_processes_that_share_memory_count_together(clock):
    memory = new_shared_memory()
    one, other = (Limiter(Rate(10, 60), clock=clock, debts=shared(memory)) for _ in range(2))
    assert admitted(one, "a", 7) == 7
    assert admitted(other, "a", 7) == 3
    assert admitted(other, "b", 20) == 10
    clock.now += 12.1
    assert (admitted(one, "a", 1), admitted(other, "a", 9)) == (1, 1)


def test_kinds_of_limit_that_share_memory_do_not_count_together(clock):
    memory = new_shared_memory()
    key = Limiter(Rate(1, 60), clock=clock, debts=SharedDebts(memory, "key"))
    address = Limiter(Rate(1, 60), clock=clock, debts=SharedDebts(memory, "address"))
    assert admitted(key, "a", 2) == admitted(address, "a", 2) == 1


def test_shared_memory_remembers_whoever_owes_most(clock):
    limiter = Limiter(Rate(1, 60), clock=clock, debts=shared(new_shared_memory()))
    for _ in range(5):
        limiter.take("busy", 1000)
    for number in range(200_000):
        limiter.take(str(number), 1)
    assert admitted(limiter, "busy", 1) == 0
    assert 100_000 < len(limiter) <= 131_072
    later = [admitted(limiter, str(number), 1) for number in range(199_900, 200_000)]
    assert sum(later) < 60


def test_no_count_is_lost_between_processes_that_charge_at_once(clock):
    memory = new_shared_memory()
    script = (
        "import sys; from app.access.debts import SharedDebts\n"
        "debts = SharedDebts(int(sys.argv[1]), 'key')\n"
        "for _ in range(5000): debts.add('a', 1000.0, 1.0)"
    )
    command = [sys.executable, "-c", script, str(memory)]
    both = [subprocess.Popen(command, cwd=ROOT, pass_fds=(memory,)) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert shared(memory).full_at("a") == clock.now + 10_000


def shared(memory):
    return SharedDebts(memory, "key")


@given(
    quota=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 40)), max_size=60),
)
def test_over_any_time_a_client_gets_no_more_than_quota_and_rate_allow(quota, steps):
    clock = Clock()
    limiter = Limiter(Rate(quota, 1), clock=clock)
    start, total = clock.now, 0
    for wait, tries in steps:
        clock.now += wait
        total += admitted(limiter, "a", tries)
        assert total <= quota + (clock.now - start) * quota + 1e-3
