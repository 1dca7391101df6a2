"""The shadow: how much of it there may be, and when there is none."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest

from app.classify import shadow
from app.classify.answers import ClassPrediction
from app.classify.inference import Photo
from app.classify.shadow import Mirror
from app.classify.shares import Share
from protocol.models import ModelSpec

pytestmark = pytest.mark.anyio


def outcome(version, label="cat", row=b"row"):
    return SimpleNamespace(
        model=SimpleNamespace(name="m", version=version),
        predictions=[ClassPrediction(version, label, None, 0.9)],
        row=row,
        run_seconds=0.1 * version,
    )


class Bench:
    """A mirror before an inference whose second answers come when the test says so."""

    def __init__(self, percent=100.0):
        self.is_busy = False
        self.fates = Counter()
        self.comparisons = []
        self.second = asyncio.Event()
        self.asked_again = []
        self.label = "cat"
        self.row = b"row"
        self.mirror = Mirror(
            self,
            {"m": [Share(None, "canary", percent)]},
            timeout_seconds=60.0,
            clock=lambda: 0.0,
            is_busy=lambda: self.is_busy,
            observer=self,
            log=SimpleNamespace(warning=lambda *_, **__: None),
        )

    def mirrored(self, model, label, fate):
        assert (model, label) == ("m", "canary")
        self.fates[fate] += 1

    def compared(self, comparison):
        self.comparisons.append(comparison)

    async def outcome(self, photo):
        assert photo.spec == ModelSpec("m")
        return outcome(1, row=self.row)

    async def again(self, photo, other):
        assert photo.spec == ModelSpec("m", version_label="canary")
        self.asked_again.append((photo.data, other.row))
        await self.second.wait()
        return outcome(2, self.label)

    async def answer(self, count=1, data=b"photo"):
        for _ in range(count):
            answered = await self.mirror.outcome(Photo(data, ModelSpec("m"), 10.0))
            assert answered.model.version == 1

    async def until(self, seen):
        async with asyncio.timeout(10):
            while sum(self.fates.values()) < seen:  # noqa: ASYNC110 - counted by callbacks
                await asyncio.sleep(0.005)


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr(shadow, "_AFTER_SECONDS", 0.0)
    return Bench()


@pytest.mark.parametrize(("label", "is_agreed"), [("cat", True), ("dog", False)])
async def test_both_answers_are_compared(bench, label, is_agreed):
    bench.label = label
    bench.second.set()
    await bench.answer()
    await bench.until(1)
    (seen,) = bench.comparisons
    assert (seen.version, seen.mirrored_version, seen.is_agreed) == (1, 2, is_agreed)
    assert (seen.seconds, seen.mirrored_seconds) == (0.1, 0.2)
    assert bench.asked_again == [(b"photo", b"row")]


async def test_the_answer_does_not_wait_and_is_first(bench):
    await bench.answer()
    assert bench.asked_again == []


async def test_so_many_at_a_time_and_the_rest_is_dropped(bench):
    await bench.answer(20)
    await bench.until(12)
    assert bench.fates == {"dropped": 12}
    bench.second.set()
    await bench.until(20)
    assert bench.fates == {"dropped": 12, "compared": 8}


async def test_so_many_bytes_and_they_are_given_back(bench):
    bench.row = bytes(1_000_000)
    for seen in (1, 2):
        bench.second.clear()
        bench.fates.clear()
        await bench.answer(3, data=bytes(14_000_000))
        await bench.until(1)
        assert bench.fates == {"dropped": 1}, seen
        bench.second.set()
        await bench.until(3)
        await asyncio.sleep(0)


async def test_nothing_is_mirrored_while_real_images_wait(bench):
    bench.is_busy = True
    await bench.answer(3)
    await bench.until(3)
    assert (bench.fates, bench.asked_again) == ({"dropped": 3}, [])


@pytest.mark.parametrize(("percent", "least", "most"), [(0.0, 0, 0), (10.0, 40, 200)])
async def test_a_part_of_the_images_is_mirrored(bench, percent, least, most):
    bench = Bench(percent)
    bench.is_busy = True
    await bench.answer(1000)
    await asyncio.gather(*bench.mirror._tasks)
    assert least <= bench.fates["dropped"] <= most


async def test_the_end_cancels_what_is_under_way(bench):
    await bench.answer(2)
    async with asyncio.timeout(10):
        while len(bench.asked_again) < 2:  # noqa: ASYNC110 - told by tasks of the mirror's
            await asyncio.sleep(0.005)
    await bench.mirror.aclose()
    assert not bench.fates
