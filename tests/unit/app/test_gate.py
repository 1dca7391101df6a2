"""Refusing before the application: what is gated, what is answered, what is counted and logged."""

from __future__ import annotations

import json
from hashlib import sha256

import pytest

from app.access.addresses import TrustedProxies, parse_networks
from app.access.keys import KeyRing
from app.errors import OverloadedError
from app.http.callers import Callers
from app.http.canned import canned_response, closing
from app.http.gate import OverloadGate
from app.http.refusals import Refusals, SampledLog
from app.metrics.gateway import Metrics


class Log:
    def __init__(self):
        self.lines = []

    def info(self, event, **facts):
        self.lines.append((event, facts))


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def metrics():
    return Metrics(Clock())


def gate_with(verdict, metrics, log=None):
    return OverloadGate(lambda _: verdict, Refusals(metrics.http, log or Log(), Clock()), Callers())


BUSY = OverloadedError("too many images are in progress", retry_after_seconds=2.5)


@pytest.mark.parametrize("path", [b"/classify", b"/classify/batch"])
def test_classifications_are_refused_with_a_whole_response(metrics, path):
    response = gate_with(BUSY, metrics).refuse("POST", path, "1.2.3.4", [])
    head, _, body = response.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 429 Too Many Requests"
    assert "retry-after: 3" in lines
    assert f"content-length: {len(body)}" in lines
    assert "content-type: application/problem+json" in lines
    assert json.loads(body) == {
        "type": "/problems/overloaded",
        "title": "Too much work is waiting",
        "status": 429,
        "detail": "too many images are in progress",
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", b"/readyz"),
        ("GET", b"/livez"),
        ("GET", b"/metrics"),
        ("POST", b"/livez"),
        ("GET", b"/classify"),
        ("POST", b"/classify/"),
    ],
)
def test_nothing_else_is_gated(metrics, method, path):
    assert gate_with(BUSY, metrics).refuse(method, path, "1.2.3.4", []) is None


def test_an_open_gate_lets_in(metrics):
    assert gate_with(None, metrics).refuse("POST", b"/classify", "1.2.3.4", []) is None


def test_the_verdict_is_asked_for_the_client(metrics):
    asked = []
    gate = OverloadGate(asked.append, Refusals(metrics.http, Log(), Clock()), Callers())
    gate.refuse("POST", b"/classify", "1.2.3.4", [])
    assert asked == ["1.2.3.4"]


RING = KeyRing([("alice", sha256(b"a-key").digest())])
PROXIES = TrustedProxies(parse_networks("10.0.0.0/8"), "X-Forwarded-For")


@pytest.mark.parametrize(
    ("callers", "headers", "asked"),
    [
        (Callers(), [(b"x-api-key", b"a-key")], ["10.0.0.1"]),
        (Callers(proxies=PROXIES), [(b"x-forwarded-for", b"6.6.6.6, 1.2.3.4")], ["1.2.3.4"]),
        (Callers(keys=lambda: RING), [(b"x-api-key", b"a-key")], ["alice"]),
        (Callers(keys=lambda: RING), [(b"authorization", b"Bearer a-key")], ["alice"]),
        (Callers(keys=lambda: RING), [(b"x-api-key", b"no-key")], []),
        (Callers(keys=lambda: RING), [], []),
    ],
    ids=["address", "behind a proxy", "key", "bearer", "wrong key", "no key"],
)
def test_the_verdict_is_about_whom_the_guard_knows_too_and_promises_strangers_nothing(
    metrics, callers, headers, asked
):
    clients = []
    gate = OverloadGate(clients.append, Refusals(metrics.http, Log(), Clock()), callers)
    assert gate.refuse("POST", b"/classify", "10.0.0.1", headers) is None
    assert clients == asked


def test_equal_verdicts_share_one_response_and_few_are_kept(metrics):
    error = OverloadedError("busy")
    gate = OverloadGate(lambda _: error, Refusals(metrics.http, Log(), Clock()), Callers())
    first = gate.refuse("POST", b"/classify", "", [])
    assert gate.refuse("POST", b"/classify", "", []) is first
    for number in range(1000):
        error = OverloadedError("busy", retry_after_seconds=float(number))
        gate.refuse("POST", b"/classify", "", [])
    assert len(gate._canned) <= 64


def test_each_refusal_is_counted(metrics):
    gate = gate_with(BUSY, metrics)
    for _ in range(3):
        gate.refuse("POST", b"/classify", "1.2.3.4", [])
    text = metrics.exposition().decode()
    line = 'gateway_requests_total{method="*",route="/classify",status="429"} 3.0'
    assert line in text
    assert 'gateway_problems_total{type="overloaded"} 3.0' in text
    assert 'gateway_refusals_total{reason="queue"} 3.0' in text


def test_lines_are_at_most_one_a_second_of_each_kind_and_say_how_many():
    log, clock = Log(), Clock()
    sampled = SampledLog(log, clock)
    for _ in range(5):
        sampled.note("refused", "a")
    sampled.note("refused", "b")
    clock.now += 1.0
    sampled.note("refused", "a")
    assert log.lines == [
        ("refused", {"kind": "a", "count": 1}),
        ("refused", {"kind": "b", "count": 1}),
        ("refused", {"kind": "a", "count": 5}),
    ]


def test_a_response_can_say_that_the_connection_ends():
    assert closing(canned_response(BUSY)).split(b"\r\n")[1] == b"connection: close"
