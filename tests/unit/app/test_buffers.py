"""Memory for bodies: bounded in all and for each client, and given back."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from app.errors import OverloadedError
from app.http.buffers import Buffers

BODY = 20


@pytest.fixture
def buffers():
    return Buffers(max_bytes=100, max_body_bytes=BODY)


def held_by(buffers, client, at_most=1000):
    """How much a client can get, a byte at a time."""
    with buffers.hold(client) as holding:
        return grow(holding, at_most)


def grow(holding, at_most=1000):
    for size in range(holding.bytes, at_most + 1):
        try:
            holding.grow_to(size)
        except OverloadedError:
            return holding.bytes
    return at_most


def test_what_is_held_is_counted_and_given_back(buffers):
    with buffers.hold("a") as first, buffers.hold("b") as second:
        first.grow_to(6)
        first.grow_to(9)
        second.grow_to(4)
        assert buffers.bytes == 13
    assert buffers.bytes == 0
    assert not buffers._of_client


def test_nothing_is_held_for_a_body_that_does_not_come(buffers):
    with ExitStack() as stack:
        for _ in range(10_000):
            stack.enter_context(buffers.hold("a"))
        assert held_by(buffers, "a") == 50


def test_a_lone_client_gets_half_and_leaves_room_for_others(buffers):
    with buffers.hold("greedy") as holding:
        assert grow(holding) == 50
        assert held_by(buffers, "other") == 25


def test_many_requests_of_one_client_share_its_part(buffers):
    with buffers.hold("a") as first, buffers.hold("a") as second, buffers.hold("b") as third:
        first.grow_to(30)
        assert grow(second) == 20
        with pytest.raises(OverloadedError, match="this client"):
            first.grow_to(31)
        assert first.bytes == 30
        third.grow_to(BODY)


def test_one_body_always_fits_while_there_is_memory():
    buffers = Buffers(max_bytes=BODY, max_body_bytes=BODY)
    assert held_by(buffers, "a") == BODY
    with buffers.hold("a") as holding:
        holding.grow_to(BODY)
        with buffers.hold("b") as other, pytest.raises(OverloadedError, match="too many uploads"):
            other.grow_to(1)


def test_a_refusal_takes_nothing(buffers):
    with buffers.hold("a") as holding:
        holding.grow_to(10)
        with pytest.raises(OverloadedError):
            holding.grow_to(10_000)
        assert (holding.bytes, buffers.bytes) == (10, 10)
