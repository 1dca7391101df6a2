"""Decoding for a signature: what is refused before it waits, and what readiness hears."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.classify.decoder import Decoder
from app.decode.plan import Plan, Rendering, read_plan
from app.errors import OverloadedError

pytestmark = pytest.mark.anyio

RENDERING = Rendering(
    4, 4, "stretch", 0.875, "bilinear", antialias=True, exif=True, background=(1, 2, 3)
)
PLAN = Plan(RENDERING, "content")


class Pool:
    """A pool whose future is known."""

    stalled_seconds = 0.0
    wait_seconds = 0.0

    def __init__(self):
        self.jobs = []

    def predicted_wait_seconds(self, client):
        return self.wait_seconds if client == "busy" else 0.0

    async def decode(self, data, plan, *, deadline, client):
        self.jobs.append((data, read_plan(plan), deadline, client))
        return "decoded"


@pytest.fixture
def bench():
    pool = Pool()
    signature = SimpleNamespace(plan=lambda encoding: PLAN if encoding == "content" else None)
    decoder = Decoder(pool, row_encoding="content", clock=lambda: 100.0)
    return SimpleNamespace(pool=pool, decoder=decoder, signature=Signature(signature.plan))


class Signature:
    def __init__(self, plan):
        self.plan = plan


async def test_the_pool_gets_the_file_and_the_signatures_plan(bench):
    decoded = await bench.decoder.decode(b"file", bench.signature, deadline=101.0, client="a")
    assert decoded == "decoded"
    assert bench.pool.jobs == [(b"file", PLAN, 101.0, "a")]


async def test_an_image_that_would_wait_beyond_its_deadline_is_refused_at_once(bench):
    bench.pool.wait_seconds = 2.0
    with pytest.raises(OverloadedError) as refused:
        await bench.decoder.decode(b"", bench.signature, deadline=101.9, client="busy")
    assert refused.value.retry_after_seconds == pytest.approx(2.0)
    assert bench.pool.jobs == []
    await bench.decoder.decode(b"", bench.signature, deadline=102.1, client="busy")
    await bench.decoder.decode(b"", bench.signature, deadline=101.9, client="another")
    assert len(bench.pool.jobs) == 2


async def test_a_pool_that_stands_still_is_trouble(bench):
    assert bench.decoder.trouble is None
    bench.pool.stalled_seconds = 60.0
    assert bench.decoder.trouble == "no image decoded for 60 s"
