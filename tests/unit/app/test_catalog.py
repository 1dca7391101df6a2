"""Which version stands for what, where several model servers serve different ones."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import numpy as np
import pytest

from app.classify.catalog import Catalog
from app.errors import (
    ModelNotFoundError,
    ModelNotReadyError,
    ModelServerUnavailableError,
    ModelVersionNotFoundError,
)
from protocol.client import Prediction
from protocol.models import Metadata, ModelSpec, State, VersionStatus

pytestmark = pytest.mark.anyio

SERVED = ModelSpec("m")
CANARY = ModelSpec("m", version_label="canary")


class Replica:
    """A model server; its versions by number, each by when it was exported."""

    def __init__(self, versions, labels=None, current=None):
        self.versions = versions
        self.labels = labels or {}
        self.current = current
        self.connections = 1
        self.is_in_use = True
        self.calls = Counter()
        self.gate = None
        self.error = None

    def number(self, spec):
        if spec.version_label is not None:
            number = self.labels.get(spec.version_label)
        else:
            number = spec.version or self.current or max(self.versions, default=None)
        if spec.name != "m":
            raise ModelNotFoundError("unknown model")
        if number not in self.versions:
            error = ModelVersionNotFoundError if spec.is_pinned else ModelNotFoundError
            raise error(f"{spec} is not served")
        return number

    async def _begin(self, call):
        self.calls[call] += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error

    async def metadata(self, spec, *, timeout_seconds):
        assert timeout_seconds > 0
        await self._begin("metadata")
        return Metadata("m", self.number(spec), {"model_card": None})

    async def predict(self, spec, *_, **__):
        await self._begin("card")
        card = {
            "model_name": "m",
            "classes": [{"index": 0, "label": "zero"}],
            "k": 1,
            "image": {"height": 8, "width": 8},
            "source": {"kind": "keras", "name": "fake"},
            "exported_at": self.versions[self.number(spec)],
        }
        return Prediction(spec.version, {"card": np.array([json.dumps(card).encode()], object)})

    async def statuses(self, name, *, timeout_seconds):
        assert timeout_seconds > 0
        await self._begin("statuses")
        if name != "m":
            raise ModelNotFoundError("unknown model")
        return [VersionStatus(number, State.AVAILABLE) for number in self.versions]


class Bench:
    """A catalog over these model servers."""

    reports_version, prefers_strings, row_encoding = True, False, "content"

    def __init__(self, *replicas, quorum=1):
        self.now = 100.0
        self.replicas = list(replicas)
        self.usable = list(replicas)
        self.catalog = Catalog(self, {}, clock=lambda: self.now, quorum=quorum)

    def when_gone(self, listener):
        self.gone = listener

    def nobody(self):
        return ModelServerUnavailableError("nobody")

    async def numbers(self, spec=SERVED, times=60):
        return {(await self.catalog.resolve(spec)).version for _ in range(times)}

    async def answered(self, replica, model, number):
        """A question of this moment was answered by this version."""
        self.now += 0.01
        return await self.catalog.answered(
            replica, SERVED, model, number=number, asked=self.catalog.moment(replica)
        )

    async def settle(self):
        """Let lookups in passing end."""
        for _ in range(20):
            await asyncio.sleep(0)


DAY = "2026-01-0{}T00:00:00Z".format


async def test_each_address_answers_with_the_version_it_serves():
    old, new = Replica({1: DAY(1)}), Replica({1: DAY(1), 2: DAY(2)})
    bench = Bench(old, new)
    await bench.catalog.resolve(SERVED)
    await bench.settle()
    assert await bench.numbers() == {1, 2}
    assert bench.catalog.current("m") == {1: 1, 2: 1}
    for replica, number in ((old, 1), (new, 2)):
        model = await bench.catalog.resolve_at(replica, "m")
        assert model.version == number
        assert bench.catalog.serving(SERVED, model) == [replica]


async def test_the_same_version_is_one_whoever_serves_it():
    bench = Bench(Replica({1: DAY(1)}), Replica({1: DAY(1)}))
    await bench.catalog.resolve(SERVED)
    await bench.settle()
    model = await bench.catalog.resolve(SERVED)
    assert bench.catalog.serving(SERVED, model) == bench.replicas
    assert bench.catalog.current("m") == {1: 2}


@pytest.mark.parametrize("spec", [ModelSpec("m", version=2), CANARY])
async def test_versions_and_labels_are_asked_only_where_they_are(spec):
    old = Replica({1: DAY(1)})
    new = Replica({1: DAY(1), 2: DAY(2)}, labels={"canary": 2})
    bench = Bench(old, new)
    assert await bench.numbers(spec) == {2}
    model = await bench.catalog.resolve(spec)
    assert bench.catalog.serving(spec, model) == [new]


async def test_a_server_that_hangs_keeps_nobody_from_the_others():
    hung, good = Replica({1: DAY(1)}), Replica({1: DAY(1)})
    hung.gate = asyncio.Event()
    bench = Bench(hung, good)
    async with asyncio.timeout(5):
        assert await bench.numbers(times=3) == {1}
    hung.gate.set()
    await bench.settle()


async def test_an_answer_of_another_version_is_believed():
    replica = Replica({1: DAY(1)})
    bench = Bench(replica)
    one = await bench.catalog.resolve(SERVED)
    replica.versions = {2: DAY(2)}
    answered = await bench.answered(replica, one, 2)
    assert answered.version == 2
    assert await bench.numbers(times=1) == {2}


async def test_an_answer_to_an_older_question_changes_nothing():
    replica = Replica({1: DAY(1), 2: DAY(2)})
    bench = Bench(replica)
    replica.current = 1
    one = await bench.catalog.resolve(SERVED)
    asked, replica.current = bench.catalog.moment(replica), 2
    await bench.answered(replica, one, 2)
    bench.now += 0.1
    await bench.catalog.resolve(SERVED)
    before = replica.calls.total()
    assert await bench.catalog.answered(replica, SERVED, one, number=1, asked=asked) is one
    assert await bench.numbers(times=3) == {2}
    assert replica.calls.total() == before


async def test_what_stands_under_a_number_again_is_read_again():
    replica = Replica({1: DAY(1), 2: DAY(2)})
    bench = Bench(replica)
    first = await bench.catalog.resolve(SERVED)
    replica.current = 1
    await bench.answered(replica, first, 1)
    await bench.catalog.resolve(SERVED)
    replica.versions[2], replica.current = DAY(3), 2
    one = await bench.catalog.resolve(SERVED)
    again = await bench.answered(replica, one, 2)
    assert again.version == first.version == 2
    assert again is not first
    assert bench.catalog.serving(SERVED, first) == []


class Late(Replica):
    """Its cards are on their way until they are let through."""

    def __init__(self, versions):
        super().__init__(versions)
        self.way = asyncio.Event()
        self.way.set()

    async def predict(self, spec, *_, **__):
        answer = await super().predict(spec)
        await self.way.wait()
        return answer


@pytest.mark.parametrize("changed", [{1: DAY(1), 2: DAY(3)}, {1: DAY(1), 3: DAY(3)}])
async def test_what_a_refusal_says_is_not_held_against_an_answer_of_before(changed):
    replica = Late({1: DAY(1), 2: DAY(2)})
    bench = Bench(replica)
    model = await bench.catalog.resolve(SERVED)
    bench.now += 1.5
    replica.way.clear()
    await bench.catalog.resolve(SERVED)  # looks it up in passing
    await bench.settle()
    replica.versions = changed
    refused = [
        asyncio.create_task(bench.catalog.has_moved(replica, SERVED, model)) for _ in range(3)
    ]
    await bench.settle()
    replica.way.set()
    assert await asyncio.gather(*refused) == [True, True, True]
    assert replica.calls["metadata"] == 3  # the first, the one under way, one for all three
    assert bench.catalog.serving(SERVED, model) == []


async def test_nothing_is_believed_of_a_process_that_is_gone():
    replica = Replica({1: DAY(1)})
    bench = Bench(replica)
    first = await bench.catalog.resolve(SERVED)
    replica.versions = {1: DAY(2)}
    assert await bench.catalog.resolve(SERVED) is first
    asked = bench.catalog.moment(replica)
    replica.connections += 1
    assert bench.catalog.serving(SERVED, first) == []
    second = await bench.catalog.answered(replica, SERVED, first, number=1, asked=asked)
    assert second is not first
    assert await bench.catalog.resolve(SERVED) is second


async def test_a_swap_nobody_told_of_is_noticed_after_seconds_without_a_wait():
    replica = Replica({1: DAY(1)})
    bench = Bench(replica)
    await bench.catalog.resolve(SERVED)
    replica.versions[2] = DAY(2)
    bench.now += 1.5
    assert await bench.numbers(times=1) == {1}  # asked in passing
    await bench.settle()
    assert await bench.numbers(times=1) == {2}
    replica.versions[3] = DAY(3)
    bench.now += 5.0
    assert await bench.numbers(times=1) == {3}  # waited for: it takes no time


async def test_a_busy_server_holds_no_request_up_for_what_is_known_well_enough():
    replica = Replica({1: DAY(1)})
    bench = Bench(replica)
    await bench.catalog.resolve(SERVED)
    replica.gate = asyncio.Event()
    bench.now += 5.0
    assert await bench.numbers(times=1) == {1}
    replica.gate.set()
    await bench.settle()


async def test_what_was_not_found_is_asked_for_nowhere_until_it_is_known_again():
    bench = Bench(Replica({1: DAY(1)}), Replica({1: DAY(1)}))
    await bench.catalog.resolve(SERVED)
    await bench.settle()
    one = await bench.catalog.resolve(SERVED)
    bench.replicas[0].versions = {}
    await bench.catalog.missed(bench.replicas[0], SERVED)
    assert bench.catalog.serving(SERVED, one) == [bench.replicas[1]]
    assert await bench.numbers() == {1}


async def test_what_moved_is_asked_for_before_it_is_answered():
    replica = Replica({1: DAY(1)})
    bench = Bench(replica)
    one = await bench.catalog.resolve(SERVED)
    assert not await bench.catalog.has_moved(replica, SERVED, one)
    replica.versions[2] = DAY(2)
    assert await bench.catalog.has_moved(replica, SERVED, one)
    assert await bench.numbers(times=1) == {2}


async def test_where_some_do_not_answer_nothing_is_called_missing():
    bench = Bench(Replica({1: DAY(1)}), Replica({2: DAY(2)}))
    missing = ModelSpec("m", version=3)
    with pytest.raises(ModelVersionNotFoundError):
        await bench.catalog.resolve(missing)
    bench.usable = bench.replicas[:1]
    with pytest.raises(ModelNotReadyError, match="others do not answer"):
        await bench.catalog.resolve(ModelSpec("m", version=2))
    bench.usable = []
    with pytest.raises(ModelServerUnavailableError):
        await bench.catalog.resolve(SERVED)


async def test_who_cannot_answer_may_have_what_the_others_have_not():
    bench = Bench(Replica({1: DAY(1)}), Replica({2: DAY(2)}))
    bench.replicas[1].error = ModelServerUnavailableError("gone")
    with pytest.raises(ModelServerUnavailableError):
        await bench.catalog.resolve(ModelSpec("m", version=2))


async def test_a_version_waits_for_its_quorum():
    replicas = [Replica({1: DAY(1)}) for _ in range(3)]
    bench = Bench(*replicas, quorum=2)

    async def numbers():
        for replica in replicas:
            await bench.catalog.resolve_at(replica, "m")
        return await bench.numbers()

    assert await numbers() == {1}
    replicas[0].versions[2] = DAY(2)
    assert await numbers() == {1}
    replicas[1].versions[2] = DAY(2)
    assert await numbers() == {2}
    replicas[1].versions[3] = DAY(3)  # nobody has a quorum: all answer
    assert await numbers() == {1, 2, 3}


async def test_an_address_that_is_gone_is_forgotten():
    bench = Bench(Replica({1: DAY(1)}), Replica({2: DAY(2)}))
    await bench.catalog.resolve_at(bench.replicas[0], "m")
    await bench.catalog.resolve_at(bench.replicas[1], "m")
    gone = bench.replicas.pop()
    bench.usable = bench.replicas
    asked, two = bench.catalog.moment(gone), await bench.catalog.resolve_at(gone, "m")
    bench.gone(gone)
    # Its last call ends later, and keeps nothing of it.
    assert await bench.catalog.answered(gone, SERVED, two, number=2, asked=asked) is two
    assert list(bench.catalog._views) == bench.replicas
    assert bench.catalog.current("m") == {1: 1}
    assert await bench.numbers() == {1}


async def test_whoever_invents_names_fills_no_memory():
    bench = Bench(Replica({1: DAY(1)}))
    for number in range(2, 1000):
        with pytest.raises(ModelVersionNotFoundError):
            await bench.catalog.resolve(ModelSpec("m", version=number))
    (view,) = bench.catalog._views.values()
    assert len(view._beliefs) <= 256
    assert not view._lookups
