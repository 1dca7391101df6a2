"""Ready: traffic proves it for a second, then one grey image has to."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from app.classify import readiness as readiness_module
from app.classify.catalog import Catalog
from app.classify.image_signature import ImageSignature, Question
from app.classify.predictions import Scores
from app.classify.readiness import Readiness
from app.classify.versions import ModelVersion
from app.errors import (
    DeadlineExceededError,
    ModelServerError,
    ModelServerUnavailableError,
    OverloadedError,
)
from contract.pixels import ImageSpec
from protocol.client import Prediction
from protocol.models import Metadata, ModelSpec, State, VersionStatus

pytestmark = pytest.mark.anyio

MODEL = ModelVersion(
    name="m",
    version=3,
    signature=ImageSignature(
        image=ImageSpec(height=2, width=2),
        k=1,
        question=Question("serving_default", "x", "uint8", (2, 2, 3), ("y",)),
        reader=Scores("y", 1),
    ),
    card=None,
)


class Replica:
    """A model server that counts who asks it."""

    connections, is_in_use = 1, True

    def __init__(self):
        self.predictions = 0
        self.state = State.AVAILABLE
        self.score = 0.5
        self.gate = None
        self.error = None
        self.status_error = None

    async def statuses(self, _, *, timeout_seconds):
        assert timeout_seconds > 0
        if self.status_error is not None:
            raise self.status_error
        return [VersionStatus(3, self.state)]

    async def metadata(self, _, *, timeout_seconds):
        assert timeout_seconds > 0
        return Metadata("m", 3, {})

    async def predict(self, spec, tensor, *, outputs, timeout_seconds, headers=(), is_telling):
        assert (spec.version, len(tensor.rows[0]), outputs) == (3, 12, ("y",))
        assert timeout_seconds > 0
        assert not is_telling  # a proof may come too late under load
        assert not headers  # nobody's request, so nobody's trace
        self.predictions += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Prediction(3, {"y": np.array([[self.score]])})


class Pool:
    """Model servers, all of them usable."""

    reports_version, prefers_strings, row_encoding = True, False, "content"

    def __init__(self, replicas):
        self.usable = self.replicas = replicas

    def when_gone(self, listener):
        pass

    def nobody(self):
        return ModelServerUnavailableError("nobody")


class Versions:
    """Reads the one version that there is."""

    async def read(self, *_):
        return MODEL

    def forget(self, version):
        pass


class Bench:
    def __init__(self, servers=1):
        self.now = 100.0
        self.servers = [Replica() for _ in range(servers)]
        self.server = self.servers[0]
        self.pool = Pool(self.servers)
        self.catalog = Catalog(self.pool, {}, clock=lambda: self.now)
        self.catalog._versions = Versions()
        self.changes = []
        self.trouble = None
        self.readiness = Readiness(
            self.pool,
            self.catalog,
            ("m",),
            clock=lambda: self.now,
            on_change=self.changes.append,
            trouble=lambda: self.trouble,
        )

    async def is_ready(self):
        return (await self.readiness.report()).is_ready


@pytest.fixture
def bench():
    return Bench()


async def test_without_traffic_an_image_is_sent_at_most_once_a_second(bench):
    assert [await bench.is_ready() for _ in range(3)] == [True] * 3
    assert bench.server.predictions == 1
    bench.now += 1.5
    assert await bench.is_ready()
    assert bench.server.predictions == 2


async def test_an_answer_proves_the_model_for_a_second(bench):
    bench.catalog.note_answer(ModelSpec("m"), MODEL)
    report = await bench.readiness.report()
    assert (report.is_ready, report.models[0].version) == (True, 3)
    assert bench.server.predictions == 0
    bench.now += 1.5
    assert await bench.is_ready()
    assert bench.server.predictions == 1


@pytest.mark.parametrize("spec", [ModelSpec("m", 3), ModelSpec("m", version_label="canary")])
async def test_an_answer_of_a_version_that_was_asked_by_name_proves_nothing(bench, spec):
    bench.catalog.note_answer(spec, MODEL)
    assert await bench.is_ready()
    assert bench.server.predictions == 1


async def test_an_available_version_that_answers_nonsense_is_not_ready(bench):
    bench.server.score = float("nan")
    assert not await bench.is_ready()
    bench.server.score = 0.5
    bench.server.state = State.LOADING
    bench.now += 1.5
    report = await bench.readiness.report()
    assert report.detail == "m: no version is available"
    assert len(bench.changes) == 2


async def test_a_slow_proof_keeps_no_report_waiting_while_the_model_is_believed(bench, monkeypatch):
    assert await bench.is_ready()
    monkeypatch.setattr(readiness_module, "_PATIENCE_SECONDS", 0.01)
    bench.now += 1.5
    bench.server.gate = asyncio.Event()
    assert await bench.is_ready()
    assert await bench.is_ready()
    assert bench.server.predictions == 2  # one proof for both reports
    bench.server.gate.set()
    await bench.readiness.aclose()


@pytest.mark.parametrize(
    ("error", "is_ready"),
    [
        (OverloadedError("full"), True),
        (DeadlineExceededError("slow"), True),
        (ModelServerUnavailableError("its queue is full"), True),
        (ModelServerError("it failed"), False),
    ],
    ids=["overloaded", "slow", "queue full", "failed"],
)
async def test_a_busy_model_stays_ready_and_a_broken_one_does_not(bench, error, is_ready):
    assert await bench.is_ready()
    bench.now += 1.5
    bench.server.error = error
    assert await bench.is_ready() is is_ready


async def test_a_model_server_that_is_gone_is_noticed_at_once(bench):
    assert await bench.is_ready()
    bench.now += 1.5
    bench.server.status_error = ModelServerUnavailableError("gone")
    assert not await bench.is_ready()


async def test_any_model_server_that_answers_is_enough(monkeypatch):
    monkeypatch.setattr(readiness_module, "_HEAD_START_SECONDS", 0.01)
    bench = Bench(servers=3)
    bench.servers[0].status_error = ModelServerUnavailableError("gone")
    bench.servers[1].gate = asyncio.Event()  # hangs
    for _ in range(8):
        assert await bench.is_ready()
        bench.now += 1.5
    bench.servers[2].state = State.LOADING
    bench.servers[1].error = ModelServerError("it failed")
    bench.servers[1].gate = None
    assert not await bench.is_ready()


async def test_model_servers_on_different_versions_are_reported_once_each_change(bench):
    await bench.is_ready()
    assert len(bench.changes) == 1
    current = bench.catalog.current
    bench.catalog.current = lambda name: current(name) + Counter({4: 1})
    for version in (3, 4, 3, 4):
        bench.now += 0.1
        bench.catalog.note_answer(ModelSpec("m"), replace(MODEL, version=version))
        assert await bench.is_ready()
    assert len(bench.changes) == 2


async def test_a_gateway_that_cannot_decode_is_not_ready(bench):
    bench.trouble = "no image decoded for 20 s"
    report = await bench.readiness.report()
    assert (report.is_ready, report.detail) == (False, "no image decoded for 20 s")


async def test_a_gateway_that_is_about_to_stop_is_not_ready(bench):
    bench.readiness.is_draining = True
    assert not await bench.is_ready()
