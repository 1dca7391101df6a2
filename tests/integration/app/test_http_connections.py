"""How many connections there may be, in all and of one client, and who goes when there are more."""

from __future__ import annotations

import json
import resource
import time
from contextlib import ExitStack

import pytest

from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.gateway import gateway_process, running_gateway, wait_until
from tests.support.gateway_bytes import LIVEZ, connections, post, problem
from tests.support.raw_http import RawConnection


@pytest.fixture(scope="module")
def small():
    """A gateway that takes few connections."""
    with (
        running_fake(demo={1: FakeVersion()}) as fake,
        running_gateway(fake.url, max_connections=40, max_connections_per_client=30) as running,
    ):
        assert running.client.get("/livez").status_code == 200
        running.client.close()
        yield running


@pytest.fixture
def gateway(small):
    wait_until(lambda: connections(small) == 0, "nobody is connected")
    return small


def test_at_the_limit_the_longest_waiting_makes_room(gateway):
    with ExitStack() as stack:
        clients = [
            stack.enter_context(RawConnection(gateway.url, source=f"127.0.0.{2 + number % 2}"))
            for number in range(40)
        ]
        clients[0].send(LIVEZ)  # the first to connect is no longer the longest waiting
        assert clients[0].reply().status == 200
        with RawConnection(gateway.url) as newcomer:
            newcomer.send(LIVEZ)
            assert newcomer.reply().status == 200
        assert clients[1].is_closed()
        clients[0].send(LIVEZ)
        assert clients[0].reply().status == 200


def test_one_client_cannot_have_all_connections(gateway):
    with ExitStack() as stack:
        clients = [stack.enter_context(RawConnection(gateway.url)) for _ in range(30)]
        with RawConnection(gateway.url) as excess:
            reply = excess.reply()
            assert problem(reply) == (429, "overloaded")
            assert excess.is_closed()
        with RawConnection(gateway.url, source="127.0.0.9") as other:
            other.send(LIVEZ)
            assert other.reply().status == 200
        clients[0].send(LIVEZ)
        assert clients[0].reply().status == 200


def test_when_all_are_busy_the_newcomer_is_told(gateway):
    with ExitStack() as stack:
        for number in range(40):
            client = stack.enter_context(
                RawConnection(gateway.url, source=f"127.0.0.{2 + number % 2}")
            )
            client.send(post(b"Content-Length: 1000"), b"x")
        wait_until(lambda: gateway.services.buffers.bytes == 40, "all have begun to send")
        with RawConnection(gateway.url, source="127.0.0.9") as excess:
            reply = excess.reply()
            assert problem(reply) == (503, "too-many-connections")
            assert reply.headers["retry-after"] == "1"
            assert excess.is_closed()


def test_refusals_are_counted_and_so_are_connections(gateway):
    text = gateway.services.metrics.exposition().decode()
    for reason in ("total", "client", "idle"):
        line = f'gateway_connections_refused_total{{reason="{reason}"}} '
        assert float(text.split(line)[1].split()[0]) >= 1


def test_silent_and_slow_connections_do_not_delay_the_end(fake):
    with (
        gateway_process(fake.url, GATEWAY_DRAIN_TIMEOUT_SECONDS="2") as gateway,
        RawConnection(gateway.url) as idle,
        RawConnection(gateway.url) as slow_head,
        RawConnection(gateway.url) as lingering,
        RawConnection(gateway.url) as slow_body,
    ):
        slow_head.send(LIVEZ[:20])
        lingering.send(b"nonsense\r\n\r\n")
        assert lingering.reply().status == 400
        slow_body.send(post(b"Content-Length: 1000"), b"x")
        idle.send(LIVEZ)
        assert idle.reply().status == 200
        started_at = time.monotonic()
        assert gateway.terminate() == 0
        assert time.monotonic() - started_at < 15


def test_more_sockets_than_the_soft_limit_allows(fake):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))  # inherited
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        gateway = stack.enter_context(gateway_process(fake.url))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(500):
            stack.enter_context(RawConnection(gateway.url))
        assert gateway.client.get("/livez").status_code == 200


def test_a_flood_of_idle_sockets_keeps_nobody_out_and_is_logged(fake):
    with gateway_process(fake.url, GATEWAY_MAX_CONNECTIONS="100") as gateway, ExitStack() as stack:
        gateway.client.close()
        for _ in range(300):
            stack.enter_context(RawConnection(gateway.url))
        with RawConnection(gateway.url, source="127.0.0.9") as other:
            other.send(LIVEZ)
            assert other.reply().status == 200
        gateway.terminate()
    lines = [json.loads(line) for line in gateway.log if "connection refused" in line]
    assert lines
    assert len(lines) < 50
    assert {"count", "kind", "peer"} <= lines[0].keys()
