"""The cache of answers: for which file and version, for how long, within which memory."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from functools import cache

import pytest

from app.classify.answers import ClassPrediction, ImageInfo
from app.classify.cache import Cache
from app.classify.inference import Outcome, Photo
from app.classify.versions import ModelVersion
from app.errors import InvalidImageError, ModelVersionNotFoundError
from protocol.models import ModelSpec

pytestmark = pytest.mark.anyio

SERVED = ModelSpec("m")


@cache
def version(number, card="first"):
    """One version of the model: another card under the same number is another version."""
    return ModelVersion("m", number, signature=None, card=card)


class Bench:
    """A cache before a source that says which call of it computed the answer."""

    def __init__(self, max_bytes=1_000_000):
        self.now = 0.0
        self.served = self.believed = version(1)
        self.computed = 0
        self.asked = 0
        self.error = None
        self.lookups = Counter()
        self.cache = Cache(
            self,
            self,
            max_bytes=max_bytes,
            max_age_seconds=60.0,
            clock=lambda: self.now,
            on_lookup=lambda result: self.lookups.update([result]),
        )

    async def resolve(self, spec):
        """What the catalog believes."""
        return self.believed if spec.version is None else version(spec.version)

    async def confirm(self, spec):
        """What is so."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        self.believed = self.served
        return await self.resolve(spec)

    async def outcome(self, photo):
        """The source."""
        self.computed += 1
        if self.error is not None:
            raise self.error
        return Outcome(
            model=await self.resolve(photo.spec) if photo.spec.is_pinned else self.served,
            predictions=[
                ClassPrediction(index, f"label {self.computed} {index}", f"id{index}", 1 / 3)
                for index in range(10)
            ],
            image=ImageInfo("JPEG", 8, 8),
            row=bytes(1000),
            decode_seconds=0.1,
            queue_seconds=0.1,
            run_seconds=0.1,
            batch_size=4,
        )

    async def ask(self, data=b"photo", spec=SERVED):
        """Which computation the answer is of."""
        outcome = await self.cache.outcome(Photo(data, spec, 10.0))
        return int(outcome.predictions[0].label.split()[1])


@pytest.fixture
def bench():
    return Bench()


async def test_the_same_file_is_computed_once(bench):
    assert [await bench.ask(), await bench.ask(), await bench.ask(b"other")] == [1, 1, 2]
    assert bench.lookups == {"hit": 1, "miss": 2}


async def test_a_kept_answer_says_how_old_it_is_and_that_it_took_no_time(bench):
    first = await bench.cache.outcome(Photo(b"photo", SERVED, 10.0))
    bench.now = 5.0
    kept = await bench.cache.outcome(Photo(b"photo", SERVED, 10.0))
    assert (first.age_seconds, kept.age_seconds) == (None, 5.0)
    assert (kept.decode_seconds, kept.queue_seconds, kept.run_seconds) == (0.0, 0.0, 0.0)
    assert (kept.row, kept.batch_size) == (b"", 0)


async def test_what_another_version_said_is_not_given(bench):
    specs = [SERVED, ModelSpec("m", version=2)]
    assert [await bench.ask(spec=spec) for spec in specs] == [1, 2]


async def test_versions_share_what_they_said_under_whatever_name_they_are_asked(bench):
    assert await bench.ask() == 1
    assert await bench.ask(spec=ModelSpec("m", version=1)) == 1


async def test_a_swap_that_nobody_has_noticed_yet_is_noticed(bench):
    await bench.ask()
    bench.served = version(2)  # the catalog still believes 1
    assert await bench.ask() == 2
    assert await bench.ask() == 2


async def test_a_number_that_was_used_again_is_another_version(bench):
    assert await bench.ask() == 1
    bench.served = version(1, card="second")
    assert await bench.ask() == 2
    assert await bench.ask() == 2


async def test_addresses_that_serve_different_versions_take_nothing_from_each_other(bench):
    assert await bench.ask() == 1
    bench.served = bench.believed = version(2)
    assert await bench.ask() == 2
    bench.served = bench.believed = version(1)
    assert await bench.ask() == 1


async def test_a_version_that_is_gone_answers_nothing(bench):
    spec = ModelSpec("m", version=1)
    await bench.ask(spec=spec)
    bench.error = ModelVersionNotFoundError("gone")
    with pytest.raises(ModelVersionNotFoundError):
        await bench.ask(spec=spec)


async def test_a_file_that_was_never_seen_costs_no_question(bench):
    await bench.ask()
    await bench.ask(b"other")
    assert bench.asked == 0


async def test_answers_have_an_age_limit(bench):
    await bench.ask()
    bench.now = 60.0
    assert await bench.ask() == 1
    bench.now = 60.1
    assert await bench.ask() == 2


async def test_failures_are_not_kept(bench):
    bench.error = InvalidImageError("damaged")
    for _ in range(2):
        with pytest.raises(InvalidImageError):
            await bench.ask()
    assert (bench.computed, bench.cache.bytes) == (2, 0)


async def test_the_least_recently_used_goes_first():
    bench = Bench(max_bytes=8000)  # two answers
    await bench.ask(b"a")
    await bench.ask(b"b")
    await bench.ask(b"a")
    await bench.ask(b"c")
    assert [await bench.ask(b"a"), await bench.ask(b"b")] == [1, 4]


async def test_an_answer_larger_than_the_cache_is_given_and_not_kept():
    bench = Bench(max_bytes=100)
    assert [await bench.ask(), await bench.ask()] == [1, 2]
    assert bench.cache.bytes == 0


async def test_the_memory_is_what_it_says():
    bench = Bench(max_bytes=1_000_000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(1000):
            await bench.ask(f"{number}".encode())
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 900_000 < bench.cache.bytes <= 1_000_000
    assert 0.5 * bench.cache.bytes < held < 1.2 * bench.cache.bytes
