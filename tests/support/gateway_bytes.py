"""The gateway byte by byte: requests as bytes, and what a refusal has to look like."""

from __future__ import annotations

import json
from typing import Any

from tests.support.gateway import Gateway
from tests.support.raw_http import RawConnection, Reply

HOST = b"Host: gateway\r\n"
JPEG = {"Content-Type": "image/jpeg"}
LIVEZ = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"


def post(*headers: bytes, body: bytes = b"") -> bytes:
    """A photo to classify, with the headers that say how long it is."""
    lines = [b"POST /classify HTTP/1.1", b"Host: gateway", b"Content-Type: image/jpeg", *headers]
    return b"\r\n".join([*lines, b"", body])


def sized(body: bytes) -> bytes:
    return post(b"Content-Length: %d" % len(body), body=body)


def problem(reply: Reply) -> tuple[int, str]:
    """Status and slug of a problem, after a look at its form."""
    assert reply.headers["content-type"] == "application/problem+json"
    body = json.loads(reply.body)
    assert body["status"] == reply.status
    return reply.status, body["type"].removeprefix("/problems/")


def refused(gateway: Gateway, *parts: bytes) -> tuple[int, str]:
    """The problem of a request after which the connection ends, cleanly."""
    with RawConnection(gateway.url) as client:
        client.send(*parts)
        reply = client.reply()
        assert reply.headers["connection"] == "close"
        assert client.is_closed()
        return problem(reply)


def connections(gateway: Gateway) -> Any:
    """How many there are, by the gateway's own count."""
    return gateway.services.metrics.http._connections.collect()[0].samples[0].value
