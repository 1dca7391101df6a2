"""Clients that send or read too slowly: each is told, or closed, and holds nothing up."""

from __future__ import annotations

import signal
import socket
import sys
import time

import pytest

from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.gateway import gateway_process, running_gateway, wait_until
from tests.support.gateway_bytes import HOST, LIVEZ, connections, post, problem, refused
from tests.support.raw_http import RawConnection


@pytest.fixture(scope="module")
def gateway():
    with (
        running_fake(demo={1: FakeVersion()}) as fake,
        running_gateway(
            fake.url, header_timeout_seconds=0.5, keep_alive_seconds=2.0, write_timeout_seconds=1.0
        ) as running,
    ):
        yield running


def test_a_head_that_does_not_come_is_a_timeout(gateway):
    assert refused(gateway, LIVEZ[:30]) == (408, "request-timeout")


def test_idle_connections_are_closed_without_a_word(gateway):
    with RawConnection(gateway.url) as fresh, RawConnection(gateway.url) as used:
        used.send(LIVEZ)
        assert used.reply().status == 200
        assert fresh.is_closed()
        assert used.is_closed()


def test_a_body_that_trickles_is_a_timeout():
    with (
        running_fake(demo={1: FakeVersion()}) as fake,
        running_gateway(
            fake.url, default_timeout_seconds=50, min_body_bytes_per_second=10_000
        ) as g,
        RawConnection(g.url) as client,
    ):
        client.send(post(b"Content-Length: 1000000"), bytes(5000))
        reply = client.reply()
        assert problem(reply) == (408, "request-timeout")
        assert "x-request-id" in reply.headers
        assert client.is_closed()


def test_a_body_later_than_the_deadline_is_a_timeout(gateway):
    assert refused(
        gateway, post(b"Content-Length: 100", b"X-Request-Timeout-Ms: 300"), b"some"
    ) == (408, "request-timeout")


def test_a_client_that_never_reads_is_disconnected(gateway):
    with RawConnection(gateway.url) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        page = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
        client.socket.settimeout(0.5)
        try:
            for _ in range(20_000):
                client.send(page)
        except TimeoutError:
            pass  # it has stopped reading us, as it should
        except ConnectionError:
            return
        wait_until(lambda: connections(gateway) == 0, "it is disconnected", seconds=20)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells how old data is")
def test_time_in_the_socket_counts(fake, photo):
    """A request that waited while the event loop was late has so much less of its deadline."""
    lines = [b"POST /classify HTTP/1.1", b"Host: x", b"Content-Type: image/jpeg"]
    lines += [b"X-Request-Timeout-Ms: 5000", b"Content-Length: %d" % len(photo), b"", b""]
    with gateway_process(fake.url) as gateway, RawConnection(gateway.url) as client:
        client.send(b"\r\n".join(lines) + photo)
        assert client.reply().status == 200
        gateway.process.send_signal(signal.SIGSTOP)
        client.send(b"\r\n".join(lines) + photo)
        time.sleep(6)
        gateway.process.send_signal(signal.SIGCONT)
        assert client.reply().status in {408, 429, 504}
        client.send(b"\r\n".join(lines) + photo)
        assert client.reply().status == 200
