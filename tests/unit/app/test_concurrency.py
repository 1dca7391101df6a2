"""The limit on images in progress: what moves it, and what does not."""

from __future__ import annotations

import pytest

from app.classify.concurrency import ConcurrencyLimit


class Bench:
    def __init__(self, *, most=512, floor=4):
        self.now = 0.0
        self.limit = ConcurrencyLimit(
            most=lambda: most, floor=lambda: floor, queue_seconds=0.2, clock=lambda: self.now
        )

    def window(self, *, seconds, worked, in_progress, images=20):
        """One window's worth of images that each took so long."""
        for _ in range(images):
            self.now += max(0.1, min(0.5, seconds)) / images * 1.01
            self.limit.observe(
                total_seconds=seconds, worked_seconds=worked, in_progress=in_progress
            )


def test_nobody_is_refused_before_there_is_evidence():
    assert Bench(most=300).limit.images == 300


def test_a_queue_brings_the_limit_down_to_what_gets_through_in_time():
    bench = Bench()
    for _ in range(10):  # 40 a second, each allowed 0.2 + 1.25 x 0.4 s
        bench.window(seconds=2.0, worked=0.4, in_progress=80)
    assert bench.limit.images == pytest.approx(40 * 0.7, abs=2)


def test_the_limit_never_falls_below_the_floor():
    bench = Bench(floor=24)
    for _ in range(20):
        bench.window(seconds=9.0, worked=0.0, in_progress=90)
    assert bench.limit.images == 24


def test_images_that_are_worked_on_all_the_time_are_no_queue_however_slow():
    bench = Bench(most=64)
    for _ in range(20):
        bench.window(seconds=3.0, worked=3.0, in_progress=64)
    assert bench.limit.images == 64


def test_a_limit_that_is_in_use_grows_while_images_get_through_in_time():
    bench = Bench()
    for _ in range(10):
        bench.window(seconds=2.0, worked=0.1, in_progress=80)
    low = bench.limit.images
    for _ in range(20):
        bench.window(seconds=0.2, worked=0.1, in_progress=bench.limit.images)
    assert bench.limit.images == 512
    assert low < 20


def test_a_limit_that_is_not_in_use_is_forgotten_slowly():
    bench = Bench()
    for _ in range(10):
        bench.window(seconds=2.0, worked=0.1, in_progress=80)
    low = bench.limit.images
    for _ in range(15):
        bench.window(seconds=0.2, worked=0.1, in_progress=2)
    assert bench.limit.images == pytest.approx(2 * low, abs=2)


def test_a_few_slow_images_alone_are_no_queue():
    bench = Bench()
    for _ in range(5):
        bench.window(seconds=2.0, worked=0.1, in_progress=4)
    assert bench.limit.images == 512


def test_what_waited_in_vain_is_no_throughput():
    bench = Bench()
    bench.window(seconds=2.0, worked=0.0, in_progress=80)
    assert bench.limit.images_per_second == 0
    assert bench.limit.images == 16


def test_a_handful_is_let_in_unless_it_is_predicted_not_to_get_through():
    bench = Bench(most=5)
    bench.window(seconds=2.0, worked=0.0, in_progress=80)
    assert bench.limit.images == 5


def test_few_images_or_a_moment_say_nothing():
    bench = Bench()
    for _ in range(100):
        bench.limit.observe(total_seconds=9.0, worked_seconds=0.1, in_progress=90)
    assert bench.limit.images == 512
    bench.window(seconds=9.0, worked=0.1, in_progress=90, images=1)
    assert bench.limit.images < 512
