"""Requests that no honest client sends, byte by byte: a problem each, flat memory, nobody waits."""

from __future__ import annotations

import json
import resource
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack, suppress

import pytest

from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.gateway import gateway_process, memory_megabytes, running_gateway, wait_until
from tests.support.raw_http import RawConnection

HOST = b"Host: gateway\r\n"
JPEG = {"Content-Type": "image/jpeg"}
LIVEZ = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"


def post(*headers, body=b""):
    lines = [b"POST /classify HTTP/1.1", b"Host: gateway", b"Content-Type: image/jpeg", *headers]
    return b"\r\n".join([*lines, b"", body])


def sized(body):
    return post(b"Content-Length: %d" % len(body), body=body)


@pytest.fixture(scope="module")
def gateway():
    with (
        running_fake(demo={1: FakeVersion()}) as fake,
        running_gateway(
            fake.url,
            header_timeout_seconds=0.5,
            keep_alive_seconds=2.0,
            max_connections=40,
            max_connections_per_client=30,
            write_timeout_seconds=1.0,
        ) as running,
    ):
        assert running.client.get("/livez").status_code == 200
        running.client.close()
        wait_until(lambda: connections(running) == 0, "nobody is connected")
        yield running


def connections(gateway):
    return gateway.services.metrics.http._connections.collect()[0].samples[0].value


def problem(reply):
    assert reply.headers["content-type"] == "application/problem+json"
    body = json.loads(reply.body)
    assert body["status"] == reply.status
    return reply.status, body["type"].removeprefix("/problems/")


def refused(gateway, *parts):
    """The problem of a request after which the connection ends, cleanly."""
    with RawConnection(gateway.url) as client:
        client.send(*parts)
        reply = client.reply()
        assert reply.headers["connection"] == "close"
        assert client.is_closed()
        return problem(reply)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n",
        b"GET /livez HTTP/3\r\n" + HOST + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"GET /livez HTTP/1.1\nHost: gateway\n\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"A: b\r\n folded\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"A: b\x00\r\n\r\n",
        b"GET /li\xffvez HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT gateway:80 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
        post(b"Content-Length: 3", b"Content-Length: 4", body=b"abcd"),
        post(b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        post(b"Content-Length: +3", body=b"abc"),
        post(b"Content-Length: 3, 3", body=b"abc"),
        post(b"Content-Length: 99999999999999999999999", body=b"abc"),
        post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
        b"POST /classify HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=lambda data: repr(data[:60]),
)
def test_what_is_no_request_is_a_problem(gateway, request_bytes):
    assert refused(gateway, request_bytes) == (400, "bad-request")


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"-1\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"\r\n",
        b"ffffffffffffffffffff\r\n",
        b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_chunks_that_cannot_be_read_are_a_problem(gateway, body):
    request = post(b"Transfer-Encoding: chunked", body=body)
    assert refused(gateway, request) == (400, "bad-request")


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", (414, "url-too-long")),
        (b"GET /" + b"a" * 9000, (414, "url-too-long")),
        (LIVEZ[:-2] + b"A: " + b"b" * 40_000 + b"\r\n\r\n", (431, "headers-too-large")),
        (LIVEZ[:-2] + b"A: " + b"b" * 40_000, (431, "headers-too-large")),
        (LIVEZ[:-2] + b"a:b\r\n" * 101 + b"\r\n", (431, "headers-too-large")),
        (
            post(b"Transfer-Encoding: chunked", body=b"0\r\n" + b"a: b\r\n" * 5000),
            (431, "headers-too-large"),
        ),
        (
            post(b"Transfer-Encoding: chunked", body=b"1;" + b"a" * 5000),
            (431, "headers-too-large"),
        ),
    ],
    ids=["url", "url begun", "header", "header begun", "headers", "trailers", "extension"],
)
def test_what_is_too_large_is_named(gateway, request_bytes, expected):
    assert refused(gateway, request_bytes) == expected


def test_as_much_as_is_allowed_is_answered(gateway):
    url = b"GET /livez?" + b"a" * 8000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    headers = LIVEZ[:-2] + b"".join(b"a%d: %s\r\n" % (n, b"b" * 300) for n in range(99)) + b"\r\n"
    chunked = post(
        b"Transfer-Encoding: chunked", body=b"3;a=b\r\nabc\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n"
    )
    with RawConnection(gateway.url) as client:
        for request, status in ((url, 200), (headers, 200), (chunked, 422), (LIVEZ, 200)):
            client.send(request)
            assert client.reply().status == status


def test_byte_by_byte_is_as_good_as_at_once(gateway):
    request = post(
        b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n2;x\r\nde\r\n0\r\nA: b\r\n\r\n"
    )
    with RawConnection(gateway.url) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(*(request[i : i + 1] for i in range(len(request))), b"\r\n" + LIVEZ)
        assert problem(client.reply()) == (422, "invalid-image")
        assert client.reply().status == 200


def test_pipelined_requests_are_answered_in_order(gateway):
    with RawConnection(gateway.url) as client:
        client.send(sized(b"junk") + LIVEZ + sized(b"") + LIVEZ)
        assert [client.reply().status for _ in range(4)] == [422, 200, 400, 200]


def test_a_connection_goes_on_after_a_refusal_whose_body_is_small(gateway):
    text = b"POST /classify HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 50000\r\n"
    with RawConnection(gateway.url) as client:
        for parts in (
            (text + HOST + b"\r\n" + bytes(50_000),),
            (text + HOST + b"\r\n", bytes(50_000)),
        ):
            client.send(*parts, LIVEZ)
            assert problem(client.reply()) == (415, "unsupported-media-type")
            assert client.reply().status == 200


def test_a_client_that_sends_everything_before_it_reads_sees_the_refusal(gateway):
    head = post(b"Content-Length: 40000000")
    assert refused(gateway, head, *([bytes(1_000_000)] * 40)) == (413, "payload-too-large")


def test_an_expected_refusal_comes_before_the_body(gateway):
    request = post(b"Content-Length: 40000000", b"Expect: 100-continue")
    assert refused(gateway, request) == (413, "payload-too-large")


def test_a_body_is_asked_for_once_it_is_wanted(gateway):
    with RawConnection(gateway.url) as client:
        client.send(post(b"Content-Length: 4", b"Expect: 100-continue"))
        assert client.reply().status == 100
        client.send(b"junk" + LIVEZ)
        assert [client.reply().status for _ in range(2)] == [422, 200]


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


def test_at_the_limit_the_longest_waiting_makes_room(gateway):
    with ExitStack() as stack:
        clients = [
            stack.enter_context(source(gateway, f"127.0.0.{2 + number % 2}"))
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


def source(gateway, address):
    """A connection from another address of this machine."""
    client = RawConnection.__new__(RawConnection)
    port = int(gateway.url.rsplit(":", 1)[1])
    client.socket = socket.create_connection(
        ("127.0.0.1", port), timeout=30, source_address=(address, 0)
    )
    return client


def test_one_client_cannot_have_all_connections(gateway):
    with ExitStack() as stack:
        clients = [stack.enter_context(RawConnection(gateway.url)) for _ in range(30)]
        with RawConnection(gateway.url) as excess:
            reply = excess.reply()
            assert problem(reply) == (429, "overloaded")
            assert excess.is_closed()
        with source(gateway, "127.0.0.9") as other:
            other.send(LIVEZ)
            assert other.reply().status == 200
        clients[0].send(LIVEZ)
        assert clients[0].reply().status == 200


def test_when_all_are_busy_the_newcomer_is_told(gateway):
    with ExitStack() as stack:
        for number in range(40):
            client = stack.enter_context(source(gateway, f"127.0.0.{2 + number % 2}"))
            client.send(post(b"Content-Length: 1000"), b"x")
        wait_until(lambda: connections(gateway) == 40, "all are connected")
        with source(gateway, "127.0.0.9") as excess:
            reply = excess.reply()
            assert problem(reply) == (503, "too-many-connections")
            assert reply.headers["retry-after"] == "1"
            assert excess.is_closed()


def test_refusals_are_counted_and_so_are_connections(gateway):
    text = gateway.services.metrics.exposition().decode()
    for reason in ("total", "client", "idle"):
        line = f'gateway_connections_refused_total{{reason="{reason}"}} '
        assert float(text.split(line)[1].split()[0]) >= 1
    assert 'gateway_requests_total{method="*",route="(none)",status="414"} 2.0' in text
    assert 'gateway_problems_total{type="url-too-long"} 2.0' in text


ATTACKS = {
    "header lines": (b"GET /livez HTTP/1.1\r\n" + HOST, b"a:b\r\n" * 200_000, 50),
    "one header": (b"GET /livez HTTP/1.1\r\n" + HOST + b"A: ", b"a" * 1_000_000, 109),
    "url": (b"GET /", b"a" * 1_000_000, 109),
    "trailers": (post(b"Transfer-Encoding: chunked", body=b"0\r\n"), b"a: b\r\n" * 200_000, 100),
    "extensions": (post(b"Transfer-Encoding: chunked", body=b"3;"), b"a" * 1_000_000, 109),
    "tiny chunks": (post(b"Transfer-Encoding: chunked"), b"1\r\na\r\n" * 200_000, 20),
}


def test_memory_is_flat_and_others_are_answered_under_header_attacks(fake):
    with gateway_process(fake.url) as gateway:
        gateway.client.get("/livez")
        before = memory_megabytes(gateway.process.pid, "VmHWM")
        slowest = 0.0
        for beginning, repeated, times in ATTACKS.values():
            attack = threading.Thread(target=flood, args=(gateway.url, beginning, repeated, times))
            attack.start()
            while attack.is_alive():
                started_at = time.monotonic()
                assert gateway.client.get("/livez").status_code == 200
                slowest = max(slowest, time.monotonic() - started_at)
            attack.join()
        assert memory_megabytes(gateway.process.pid, "VmHWM") < before + 10
        assert slowest < 2  # milliseconds, but this machine may be busy; it was sixteen seconds


def flood(url, beginning, repeated, times):
    # An OSError: refused, and then more than enough was sent.
    with RawConnection(url, timeout_seconds=20) as client, suppress(OSError):
        client.send(beginning, *([repeated] * times))


def test_bodies_that_are_announced_and_do_not_come_hold_nothing(fake, photo):
    with gateway_process(fake.url) as gateway, ExitStack() as stack:
        for number in range(600):
            client = stack.enter_context(source(gateway, f"127.0.0.{2 + number % 3}"))
            announced = b"Content-Length: %d" % (19_000_000 if number < 100 else 2000)
            client.send(post(announced, b"X-Request-Timeout-Ms: 60000"), b"slow")
        wait_until(lambda: bytes_in_progress(gateway) >= 4 * 600, "the bodies have begun")
        assert bytes_in_progress(gateway) == 4 * 600
        for _ in range(20):
            answer = gateway.client.post("/classify", content=photo, headers=JPEG)
            assert answer.status_code == 200


def bytes_in_progress(gateway):
    return gateway.client.get("/healthz").json()["bytes_in_progress"]


@pytest.mark.parametrize("as_form", [False, True])
def test_a_body_is_in_memory_once(fake, as_form):
    kind, content = b"image/jpeg", bytes(19_000_000)
    if as_form:
        kind = b"multipart/form-data; boundary=x"
        content = b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\n" + content
        content += b"\r\n--x--\r\n"
    lines = [b"POST /classify HTTP/1.1", b"Host: x", b"Content-Type: " + kind]
    head = b"\r\n".join([*lines, b"Content-Length: %d" % len(content), b"", b""])
    with gateway_process(fake.url) as gateway, RawConnection(gateway.url) as client:
        assert gateway.client.post("/classify", content=b"junk", headers=JPEG).status_code == 422
        before = memory_megabytes(gateway.process.pid, "VmHWM")
        client.send(head, content)
        assert client.reply().status == 422
        peak = memory_megabytes(gateway.process.pid, "VmHWM")
    assert peak - before < 1.6 * 19


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
        with source(gateway, "127.0.0.9") as other:
            other.send(LIVEZ)
            assert other.reply().status == 200
        gateway.terminate()
    lines = [json.loads(line) for line in gateway.log if "connection refused" in line]
    assert lines
    assert len(lines) < 50
    assert {"count", "kind", "peer"} <= lines[0].keys()


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


@pytest.mark.skipif(sys.platform != "linux", reason="reads what the kernel holds")
def test_little_is_computed_for_a_client_that_does_not_read(fake):
    page = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
    with gateway_process(fake.url) as gateway, RawConnection(gateway.url) as deaf:
        deaf.send(page * 1000)
        counts = [0]

        def is_over():
            time.sleep(0.5)
            text = gateway.client.get("/metrics").text
            counts.append(
                sum(
                    float(line.split()[-1])
                    for line in text.splitlines()
                    if line.startswith('gateway_requests_total{method="GET",route="/openapi.json"')
                )
            )
            return counts[-1] == counts[-2] > 0

        wait_until(is_over, "nothing more is computed")
    assert counts[-1] < 60  # it was 136: the kernel took 4 MB
