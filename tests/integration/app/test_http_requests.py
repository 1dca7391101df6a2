"""Requests that no honest client sends, byte by byte: a problem each, and the next one is read."""

from __future__ import annotations

import socket

import pytest

from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.gateway import running_gateway
from tests.support.gateway_bytes import HOST, LIVEZ, post, problem, refused, sized
from tests.support.raw_http import RawConnection


@pytest.fixture(scope="module")
def gateway():
    with running_fake(demo={1: FakeVersion()}) as fake, running_gateway(fake.url) as running:
        yield running


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
        for request, status in ((url, 422), (headers, 200), (chunked, 422), (LIVEZ, 200)):
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


def test_refusals_before_routing_are_counted(gateway):
    lines = [
        'gateway_requests_total{method="*",route="(none)",status="414"} ',
        'gateway_problems_total{type="url-too-long"} ',
    ]

    def counts():
        text = gateway.services.metrics.exposition().decode()
        return [float(text.split(line)[1].split()[0]) for line in lines]

    assert refused(gateway, b"GET /" + b"a" * 9000) == (414, "url-too-long")
    before = counts()
    assert refused(gateway, b"GET /" + b"a" * 9000) == (414, "url-too-long")
    assert counts() == [before[0] + 1, before[1] + 1]
