"""Images that attack, through a whole gateway: memory comes back, and it stops in time."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from app.decode import judge
from tests.support.bombs import BY_NAME
from tests.support.gateway import (
    gateway_process,
    resident_megabytes,
    running_gateway,
    wait_until,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

ENDLESS = BY_NAME["jpeg-20mb-of-padding"].make()
BINARY = {"Content-Type": "application/octet-stream"}


def post(gateway, data, timeout_ms=None):
    headers = BINARY | ({"X-Request-Timeout-Ms": str(timeout_ms)} if timeout_ms else {})
    return gateway.client.post("/classify", content=data, headers=headers)


def test_a_signal_during_an_endless_decode_ends_the_gateway_within_its_drain_limit(fake):
    with (
        gateway_process(
            fake.url, GATEWAY_DECODE_TIMEOUT_SECONDS="600", GATEWAY_DRAIN_TIMEOUT_SECONDS="1"
        ) as gateway,
        ThreadPoolExecutor(1) as thread,
    ):
        pending = thread.submit(post, gateway, ENDLESS, 60_000)
        family = psutil.Process(gateway.process.pid)
        wait_until(lambda: _cpu_seconds(family) > 0.5, "it decodes")
        processes = family.children(recursive=True)
        started_at = time.monotonic()
        assert gateway.terminate(signal.SIGTERM) == 0
        assert time.monotonic() - started_at < 10
        wait_until(lambda: not psutil.wait_procs(processes, timeout=0)[1], "all end", seconds=30)
        assert pending.exception() is not None or pending.result().status_code in {429, 503, 504}


def _cpu_seconds(family):
    seconds = 0.0
    for each in family.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(each.cpu_times()[:2])
    return seconds


def test_images_that_time_out_are_forgotten_at_once(fake, photo, monkeypatch):
    """Without a garbage collector: nothing may lie in a cycle of exceptions and frames."""
    monkeypatch.setattr(judge, "SLOW_SECONDS", 60.0)  # a slow image ends sooner, as too costly
    with running_gateway(fake.url, decode_workers=2) as gateway:
        assert post(gateway, photo).status_code == 200
        gc.collect()
        gc.disable()
        try:
            before = resident_megabytes(os.getpid())
            statuses = [post(gateway, ENDLESS, 1500).status_code for _ in range(8)]
            after = resident_megabytes(os.getpid())
        finally:
            gc.enable()
        assert set(statuses) <= {408, 429, 504}
        assert statuses.count(504) > 5
        assert after < before + 90  # all eight would be 160


def test_what_the_image_library_says_is_a_field_of_the_log_line(fake):
    with gateway_process(fake.url) as gateway:
        assert post(gateway, BY_NAME["jpeg-exif-bomb"].make()).status_code == 200
        gateway.terminate()
    (line,) = [json.loads(line) for line in gateway.log if '"request"' in line]
    assert line["warnings"][0].startswith("Tag data larger than file")


def test_a_killed_decode_is_a_log_line_and_a_metric(fake):
    with gateway_process(fake.url, GATEWAY_DECODE_TIMEOUT_SECONDS="0.2") as gateway:
        response = post(gateway, ENDLESS, 30_000)
        assert (response.status_code, response.json()["type"]) == (
            422, "/problems/image-too-costly",
        )  # fmt: skip
        metrics = gateway.client.get("/metrics").text
        assert 'gateway_decode_kills_total{reason="time"} 1.0' in metrics
        assert "gateway_decode_memory_bytes 0.0" in metrics
        gateway.terminate()
    (line,) = [json.loads(line) for line in gateway.log if '"decode killed"' in line]
    assert (line["level"], line["reason"], line["client"]) == ("warning", "time", "127.0.0.1")


def test_the_gateway_itself_never_loads_the_image_library(fake, photo):
    with gateway_process(fake.url) as gateway:
        assert post(gateway, photo).status_code == 200
        maps = Path(f"/proc/{gateway.process.pid}/maps").read_text(encoding="utf-8")
        assert "/PIL/" not in maps
        assert resident_megabytes(gateway.process.pid) < 120
