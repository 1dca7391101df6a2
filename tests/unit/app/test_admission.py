"""Who is let in: as many as the limit says, shared between clients."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from app.classify.admission import Admission
from app.errors import OverloadedError

pytestmark = pytest.mark.anyio


class Limit:
    """A limit that says what the test wants."""

    def __init__(self, images):
        self.images = images
        self.images_per_second = 0.0
        self.observed = []

    def observe(self, **image):
        self.observed.append(image)


class Bench:
    def __init__(self, *, limit=4, max_images=100):
        self.now = self.lag = 0.0
        self.limit = Limit(limit)
        self.admission = Admission(
            self.limit, max_images=max_images, clock=lambda: self.now, lag=lambda: self.lag
        )
        self.stack = ExitStack()

    def enter(self, client="a", *, has_arrived=True):
        reservation = self.stack.enter_context(self.admission.enter(client))
        if has_arrived:
            reservation.arrived()
        return reservation

    def fill(self, count, client="a"):
        for _ in range(count):
            self.enter(client)

    def is_refused(self, client="a"):
        try:
            with self.admission.enter(client):
                return False
        except OverloadedError:
            return True


@pytest.fixture
def bench():
    bench = Bench()
    with bench.stack:
        yield bench


def test_images_are_counted_from_their_last_byte_and_given_back(bench):
    with bench.admission.enter("a") as reservation:
        assert bench.admission.images == 0
        reservation.arrived()
        assert bench.admission.images == 1
    assert bench.admission.images == 0
    assert bench.admission._held == {}


def test_a_lone_client_may_take_all_places_and_not_one_more(bench):
    bench.fill(4)
    assert bench.is_refused()
    with pytest.raises(OverloadedError):
        bench.enter()
    assert bench.admission.images == 4


def test_a_body_that_is_expected_any_moment_has_a_place(bench):
    for _ in range(4):
        bench.enter(has_arrived=False)
    assert bench.is_refused()


def test_slow_bodies_keep_nobody_out(bench):
    slow = [bench.enter(has_arrived=False) for _ in range(4)]
    bench.now += 0.3
    assert not bench.is_refused()
    bench.fill(4)
    slow[0].arrived()
    slow[1].arrived()
    slow[2].arrived()
    with pytest.raises(OverloadedError):  # each took a place above the limit: 7 are in progress
        slow[3].arrived()
    assert bench.admission.images == 7


def test_a_client_below_its_share_gets_in_when_another_holds_everything(bench):
    bench.fill(4, "flood")
    assert bench.is_refused("flood")
    bench.fill(2, "modest")
    assert bench.is_refused("modest")  # two clients, four places: two each
    assert not bench.is_refused("third")


def test_shares_never_lead_far_beyond_the_limit():
    bench = Bench(limit=4, max_images=5)
    with bench.stack:
        bench.fill(4, "flood")
        bench.enter("second")
        assert bench.is_refused("third")


async def test_a_verdict_promises_a_place_until_the_loops_next_turn(bench):
    bench.fill(2)
    assert [bench.admission.verdict("a") is None for _ in range(4)] == [True, True, False, False]
    await asyncio.sleep(0)
    assert bench.admission.verdict("a") is None
    assert not bench.is_refused()


async def test_what_one_client_was_promised_is_not_held_against_another(bench):
    assert [bench.admission.verdict("flood") is None for _ in range(6)] == [True] * 4 + [False] * 2
    assert bench.admission.verdict("modest") is None


@pytest.mark.parametrize(("rate", "seconds"), [(0.0, 1), (100.0, 1), (1.0, 4), (0.01, 30)])
def test_come_again_when_what_is_in_progress_is_done(bench, rate, seconds):
    bench.fill(4)
    bench.limit.images_per_second = rate
    with pytest.raises(OverloadedError) as refused:
        bench.enter()
    assert refused.value.retry_after_seconds == seconds


def test_a_request_with_many_images_takes_what_room_there_is(bench):
    bench.fill(1, "other")
    bench.enter("a")
    with bench.admission.widen("a", 31) as further:
        assert further == 1  # half of the four places belong to the other client
        assert bench.admission.images == 3
        with bench.admission.widen("other", 31) as more:
            assert more == 1
        with bench.admission.widen("a", 31) as more:
            assert more == 0
    assert bench.admission.images == 2
    assert bench.admission._held == {"a": 1, "other": 1}


def test_a_wait_for_an_event_loop_that_is_busy_with_others_is_not_the_images_fault(bench):
    bench.fill(4)
    bench.lag = 0.008  # four images explain that
    bench.admission.observe(total_seconds=2.0, worked_seconds=0.1)
    bench.lag = 0.508
    bench.admission.observe(total_seconds=2.0, worked_seconds=0.1)
    bench.admission.observe(total_seconds=1.0, worked_seconds=0.1)
    assert [each["total_seconds"] for each in bench.limit.observed] == [2.0, 0.5, 0.1]


def test_the_limit_hears_how_many_were_in_progress(bench):
    bench.fill(3)
    bench.admission.observe(total_seconds=2.0, worked_seconds=1.0)
    assert bench.limit.observed == [{"total_seconds": 2.0, "worked_seconds": 1.0, "in_progress": 3}]
