"""Turns between clients: nobody waits for all that somebody else has sent."""

from __future__ import annotations

import pytest

from app.decode.fairness import FairQueue


@pytest.fixture
def queue():
    filled = FairQueue()
    for number in range(4):
        filled.append("batch", f"batch {number}")
    filled.append("one", "one 0")
    filled.append("two", "two 0")
    filled.append("two", "two 1")
    return filled


def drained(queue):
    return [queue.pop() for _ in range(queue.count)]


def test_clients_take_turns_and_each_keeps_its_order(queue):
    assert drained(queue) == [
        "batch 0", "one 0", "two 0", "batch 1", "two 1", "batch 2", "batch 3",
    ]  # fmt: skip
    assert queue.peek() is None


def test_a_client_that_comes_back_waits_its_turn_again(queue):
    assert queue.pop() == "batch 0"
    queue.append("batch", "batch 4")
    assert queue.pop() == "one 0"


def test_the_next_one_is_shown_before_it_is_taken(queue):
    assert [queue.peek(), queue.peek(), queue.pop()] == ["batch 0"] * 3


def test_what_is_taken_back_is_gone_and_only_once(queue):
    assert queue.remove("one", "one 0")
    assert not queue.remove("one", "one 0")
    assert not queue.remove("batch", "two 0")
    assert queue.count == 6
    assert "one 0" not in drained(queue)


@pytest.mark.parametrize(("client", "ahead"), [("new", 3), ("one", 4), ("two", 6), ("batch", 7)])
def test_how_many_come_first_depends_on_who_asks(queue, client, ahead):
    assert queue.ahead_of(client) == ahead
    queue.append(client, "the new one")
    assert drained(queue).index("the new one") == ahead
