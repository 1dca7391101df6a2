"""One worker's conversation, in this process: a thread plays the worker, the test the gateway."""

from __future__ import annotations

import json
import socket
import threading
import warnings

import pytest

from app.decode.bounds import Bounds
from app.decode.frames import ORDER, REPORT, Order, Report
from app.decode.worker import Worker
from tests.support.bombs import BY_NAME
from tests.support.decode_pool import PLAN
from tests.support.forged import png

BOUNDS = Bounds(max_pixels=64_000_000, max_memory_bytes=100_000_000, cpu_seconds=5.0)
PICTURE = png.flat(1000, 1000, png.RGB)  # 4 MB and what everything costs
ROW_BYTES = 224 * 224 * 3


class Memory:
    """A limit that is noted, not set: this process has others to think of."""

    def __init__(self):
        self.allowed = []
        self.is_lifted = False

    def allow(self, more_bytes):
        self.allowed.append(more_bytes)

    def lift(self):
        self.is_lifted = True


@pytest.fixture
def worker(monkeypatch):
    """The gateway's end of a worker's socket, and the worker's memory limit."""
    monkeypatch.setattr("app.decode.worker.limit_cpu", lambda _: None)
    ours, theirs = socket.socketpair()
    memory = Memory()
    with warnings.catch_warnings():
        thread = threading.Thread(target=Worker(theirs, BOUNDS, memory).run)
        thread.start()
        with ours:
            yield ours, memory
        thread.join(10)
    theirs.close()
    assert not thread.is_alive()


def send(gateway, data, granted):
    plan = PLAN.to_bytes()
    gateway.sendall(ORDER.pack(Order.JOB, len(plan), len(data), granted) + plan + data)


def receive(gateway):
    report, facts, size = REPORT.unpack(gateway.recv(REPORT.size, socket.MSG_WAITALL))
    if report == Report.PRICE:
        return report, {}, size
    text = gateway.recv(facts, socket.MSG_WAITALL) if facts else b"{}"
    row = gateway.recv(size, socket.MSG_WAITALL) if size else b""
    return report, json.loads(text), len(row)


def test_an_image_within_its_allowance_is_answered_at_once(worker):
    gateway, memory = worker
    send(gateway, PICTURE, 16_000_000)
    report, facts, row = receive(gateway)
    assert (report, row) == (Report.RESULT, ROW_BYTES)
    assert (facts["format"], facts["width"], facts["height"]) == ("PNG", 1000, 1000)
    assert 0 < facts["seconds"] < facts["cpu_seconds_ever"] + 60
    assert memory.allowed == [24_000_000]


def test_a_dearer_one_waits_for_its_grant(worker):
    gateway, memory = worker
    send(gateway, PICTURE, 1_000_000)
    report, _, price = receive(gateway)
    assert report == Report.PRICE
    assert 4_000_000 < price < 10_000_000
    gateway.sendall(ORDER.pack(Order.GRANT, 0, 0, 0))
    assert receive(gateway)[0] == Report.RESULT
    assert memory.allowed[1] == price + 8_000_000


def test_a_job_that_is_withdrawn_leaves_the_worker_as_it_was(worker):
    gateway, _ = worker
    send(gateway, PICTURE, 1_000_000)
    assert receive(gateway)[0] == Report.PRICE
    gateway.sendall(ORDER.pack(Order.WITHDRAW, 0, 0, 0))
    send(gateway, PICTURE, 16_000_000)
    assert receive(gateway)[0] == Report.RESULT


@pytest.mark.parametrize(
    ("data", "is_too_large"),
    [(b"hello", False), (PICTURE[:500], False), (BY_NAME["webp-38-bytes"].make(), True)],
    ids=["no image", "damaged", "too large"],
)
def test_what_cannot_be_decoded_is_refused_and_the_next_one_is_decoded(worker, data, is_too_large):
    gateway, _ = worker
    send(gateway, data, 16_000_000)
    report, facts, _ = receive(gateway)
    assert (report, facts["is_too_large"]) == (Report.REFUSED, is_too_large)
    send(gateway, PICTURE, 16_000_000)
    assert receive(gateway)[0] == Report.RESULT


@pytest.mark.parametrize("stage", ["decode_image", "Plan.row"])
def test_a_worker_without_memory_says_so_and_ends(worker, monkeypatch, stage):
    def fail(*_, **__):
        raise MemoryError

    if stage == "decode_image":
        monkeypatch.setattr("app.decode.worker.decode_image", fail)
    else:
        monkeypatch.setattr("app.decode.plan.Plan.row", fail)
    gateway, memory = worker
    send(gateway, PICTURE, 16_000_000)
    report, facts, _ = receive(gateway)
    assert (report, facts["is_too_large"]) == (Report.REFUSED, True)
    assert memory.is_lifted


def test_warnings_are_facts_of_the_image_they_are_about(worker):
    gateway, _ = worker
    send(gateway, BY_NAME["jpeg-exif-bomb"].make(), 16_000_000)
    assert len(receive(gateway)[1]["warnings"]) == 5
    send(gateway, PICTURE, 16_000_000)
    assert "warnings" not in receive(gateway)[1]


def test_a_fault_of_ours_costs_only_the_file_that_found_it(worker, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("a sampling factor")

    monkeypatch.setattr("app.decode.worker.decode_image", fail)
    gateway, _ = worker
    send(gateway, PICTURE, 16_000_000)
    report, facts, _ = receive(gateway)
    assert (report, facts["is_too_large"]) == (Report.REFUSED, False)
    assert facts["detail"] == "the image cannot be decoded"
    assert facts["warnings"] == ["unexpected ZeroDivisionError: a sampling factor"]
