"""Which label answers: by weight, the same for a key, and never none."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from app.classify.shares import Share, by_model, parse_shares, whole
from app.classify.split import Split
from app.errors import InvalidImageError, ModelNotReadyError, ModelVersionNotFoundError
from protocol.models import ModelSpec

pytestmark = pytest.mark.anyio

SERVED = ModelSpec("m")


class Bench:
    """A split before versions of which the test says who is missing."""

    def __init__(self, text="stable:95%,canary:5%"):
        self.now = 0.0
        self.place = 0.0
        self.asked = []
        self.missing = {}
        self.chosen = Counter()
        self.fallbacks = Counter()
        self.split = Split(
            by_model(parse_shares(text), "m"),
            clock=lambda: self.now,
            random=lambda: self.place,
            observer=self,
        )

    def assigned(self, model, label):
        self.chosen[model, label] += 1

    def fell_back(self, model, label):
        self.fallbacks[model, label] += 1

    async def _ask(self, spec):
        self.asked.append(spec.version_label)
        if spec.version_label in self.missing:
            raise self.missing[spec.version_label]("missing")
        return spec.version_label

    async def label(self, spec=SERVED, key=None):
        asked, label = await self.split.ask(spec, key, self._ask)
        assert asked.version_label == label
        return label


@pytest.fixture
def bench():
    return Bench()


@pytest.mark.parametrize(
    ("place", "label"), [(0.0, "stable"), (0.9499, "stable"), (0.95, "canary"), (0.9999, "canary")]
)
async def test_each_label_has_its_part(bench, place, label):
    bench.place = place
    assert await bench.label() == label
    assert bench.chosen == {("m", label): 1}
    assert not bench.fallbacks


async def test_keys_are_spread_by_the_shares(bench):
    labels = Counter([await bench.label(key=f"user-{number}") for number in range(10_000)])
    assert 400 < labels["canary"] < 600


async def test_a_key_keeps_its_label_here_and_in_every_other_gateway(bench):
    other = Bench()
    for number in range(100):
        bench.place = other.place = random.random()  # noqa: S311 - not for secrets
        assert await bench.label(key=f"{number}") == await other.label(key=f"{number}")


async def test_a_growing_canary_keeps_who_it_has(bench):
    wider = Bench("stable:80%,canary:20%")
    keys = [f"user-{number}" for number in range(1000)]
    before = {key for key in keys if await bench.label(key=key) == "canary"}
    after = {key for key in keys if await wider.label(key=key) == "canary"}
    assert before < after


async def test_models_split_apart_by_themselves():
    bench = Bench("stable:50%,canary:50%,n/a:50%,n/b:50%")
    keys = [f"user-{number}" for number in range(200)]
    ours = [await bench.label(key=key) == "stable" for key in keys]
    theirs = [await bench.label(ModelSpec("n"), key) == "a" for key in keys]
    assert ours != theirs


@pytest.mark.parametrize(
    "spec", [ModelSpec("m", version=1), ModelSpec("m", version_label="x"), ModelSpec("other")]
)
async def test_what_names_a_version_or_has_no_shares_is_left_alone(bench, spec):
    assert await bench.label(spec) == spec.version_label
    assert not bench.chosen


@pytest.mark.parametrize("error", [ModelVersionNotFoundError, ModelNotReadyError])
async def test_for_a_missing_label_the_first_one_answers(bench, error):
    bench.place, bench.missing = 0.99, {"canary": error}
    assert await bench.label() == "stable"
    assert bench.fallbacks == {("m", "canary"): 1}


async def test_without_the_first_label_the_served_version_answers(bench):
    bench.missing = {"stable": ModelVersionNotFoundError}
    assert await bench.label() is None
    assert (bench.asked, bench.fallbacks) == (["stable", None], {("m", "stable"): 1})


async def test_a_missing_label_is_asked_for_again_a_second_later_and_not_before(bench):
    bench.place, bench.missing = 0.99, {"canary": ModelVersionNotFoundError}
    for _ in range(3):
        await bench.label()
    assert bench.asked == ["canary", "stable", "stable", "stable"]
    assert bench.fallbacks["m", "canary"] == 3
    bench.now, bench.missing = 1.0, {}
    assert await bench.label() == "canary"


async def test_other_failures_are_the_requests_own(bench):
    bench.missing = {"stable": InvalidImageError}
    with pytest.raises(InvalidImageError):
        await bench.label()
    assert bench.asked == ["stable"]


async def test_a_label_without_a_share_gets_nothing():
    bench = Bench("stable:100%,canary:0%")
    bench.place = 0.99999
    assert await bench.label() == "stable"


def test_shares_are_read_as_they_are_written():
    assert parse_shares(" a:95% , n/b:5%,") == (Share(None, "a", 95.0), Share("n", "b", 5.0))
    assert str(Share("n", "b", 2.5)) == "n/b:2.5%"
    assert parse_shares((Share(None, "a", 1.0),)) == (Share(None, "a", 1.0),)


@pytest.mark.parametrize(
    "text",
    ["canary", "canary:5", "canary:%", ":5%", "canary:-1%", "canary:101%", "a/b/c:5%", "a:1.2.3%",
     "a:50%,a:50%", "a:nan%"],
)  # fmt: skip
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match=r"twice|not label:percent%"):
        parse_shares(text)


def test_shares_that_are_not_all_of_the_traffic_are_refused():
    whole(parse_shares("a:33.3%,b:33.3%,c:33.4%,n/x:100%"))
    with pytest.raises(ValueError, match="shares of model n add up to 60%"):
        whole(parse_shares("a:100%,n/x:60%"))
