"""Bounds on what is in progress."""

from __future__ import annotations

import pytest

from app.classify.admission import Admission
from app.errors import OverloadedError


def test_images_are_bounded_and_given_back():
    admission = Admission(max_images=2, max_bytes=10)
    with admission.enter(), admission.enter():
        assert admission.images == 2
        with pytest.raises(OverloadedError), admission.enter():
            pass
        assert admission.images == 2
    assert admission.images == 0


def test_bytes_are_bounded_and_given_back():
    admission = Admission(max_images=9, max_bytes=10)
    with admission.enter() as first:
        first.grow_to(6)
        first.grow_to(4)
        with admission.enter() as second:
            second.grow_to(4)
            with pytest.raises(OverloadedError):
                second.grow_to(5)
        assert admission.bytes == 6
    assert admission.bytes == 0
