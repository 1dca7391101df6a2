"""Decoding in threads: what is refused before it waits."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from app.classify.decoder import Decoder
from app.errors import ImageTooLargeError, InvalidImageError, OverloadedError
from contract.pixels import ImageSpec
from tests.support.pictures import encoded

pytestmark = pytest.mark.anyio

SIGNATURE = SimpleNamespace(image=ImageSpec(height=4, width=4), to_row=lambda pixels: pixels)
PICTURE = encoded(np.zeros((8, 8, 3), np.uint8), "PNG")


class Clock:
    """Seconds that pass only when a test says so."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def bench():
    """A decoder with one thread, its clock, and the seconds that each image takes on it."""
    clock, gate = Clock(), threading.Event()
    gate.set()

    def encode_row(row):
        gate.wait(10)
        clock.now += 10.0
        return row.tobytes()

    decoder = Decoder(encode_row, threads=1, max_pixels=100, clock=clock)
    yield SimpleNamespace(decoder=decoder, clock=clock, gate=gate)
    gate.set()
    decoder.close()


async def test_a_row_comes_with_what_the_file_was(bench):
    decoded = await bench.decoder.decode(PICTURE, SIGNATURE, deadline=1.0)
    assert (decoded.format, decoded.width, decoded.height) == ("PNG", 8, 8)
    assert (len(decoded.row), decoded.seconds) == (48, 10.0)


async def test_an_image_that_would_wait_beyond_its_deadline_is_refused_at_once(bench):
    await bench.decoder.decode(PICTURE, SIGNATURE, deadline=1.0)  # 10 s count for a twentieth
    bench.gate.clear()
    patient = [
        asyncio.ensure_future(bench.decoder.decode(PICTURE, SIGNATURE, deadline=99.0))
        for _ in range(4)
    ]
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError) as refused:
        await bench.decoder.decode(PICTURE, SIGNATURE, deadline=bench.clock.now + 1.9)
    assert refused.value.retry_after_seconds == pytest.approx(4 * 0.5)
    last = asyncio.ensure_future(
        bench.decoder.decode(PICTURE, SIGNATURE, deadline=bench.clock.now + 2.1)
    )
    bench.gate.set()
    assert len(await asyncio.gather(*patient, last)) == 5


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"hello", InvalidImageError),
        (PICTURE[:40], InvalidImageError),
        (encoded(np.zeros((11, 10, 3), np.uint8), "PNG"), ImageTooLargeError),
    ],
    ids=["no image", "damaged", "too large"],
)
async def test_what_cannot_be_decoded_is_the_clients_error(bench, data, expected):
    with pytest.raises(expected):
        await bench.decoder.decode(data, SIGNATURE, deadline=1.0)
