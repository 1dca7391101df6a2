"""Connections on which HTTP itself is broken, as kinds of garbage (see `broken_front`)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.broken_front import Break
from tests.support.garbage_kind import Garbage


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


_SETTINGS = _frame(4, 0, 0) + _frame(4, 1, 0)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def breaks() -> Iterator[Garbage]:
    for name, end in (("closes", "close"), ("resets", "reset"), ("hangs", "hang")):
        how = Break(end=end)  # type: ignore[arg-type]  # the tuple's strings
        yield _broken(f"the server {name}", how, how)
    yield _broken("the server drips", Break(_SETTINGS, end="drip", drop=b"\0"), None)
    http2 = {
        "HTTP/1.1": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "noise": bytes(range(256)) * 4,
        "GOAWAY": _SETTINGS + _frame(7, 0, 0, bytes(7) + b"\x02"),
        "DATA on stream 0": _SETTINGS + _frame(0, 0, 0, b"x"),
        "a frame of 16 MB": _SETTINGS + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        "headers that are none": _SETTINGS + _frame(1, 5, 1, b"\xff" * 10),
        "a message of 4 GB": _SETTINGS
        + _frame(1, 4, 1, b"\x88\x5f\x10application/grpc")
        + _frame(0, 0, 1, b"\0\xff\xff\xff\xff"),
        "a stream that is reset": _SETTINGS + _frame(3, 0, 1, b"\0\0\0\2"),
        "no trailers": _SETTINGS + _frame(1, 5, 1, b"\x88\x5f\x10application/grpc"),
    }
    for name, reply in http2.items():
        yield _broken(f"HTTP/2: {name}", Break(reply=reply, end="hang"), None)
    endless = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    http1 = {
        "noise": Break(reply=bytes(range(256)) * 4),
        "HTTP/2": Break(reply=_SETTINGS),
        "a status that is none": Break(reply=b"HTTP/1.1 999999 OK\r\n\r\n"),
        "a body that ends early": Break(reply=_HEAD + b"Content-Length: 1000\r\n\r\n{}"),
        "a body that is reset": Break(reply=_HEAD + b"Content-Length: 9\r\n\r\n{}", end="reset"),
        "a length that is none": Break(reply=_HEAD + b"Content-Length: -5\r\n\r\n{}"),
        "two lengths": Break(reply=_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        "chunks that are none": Break(reply=endless + b"zz\r\n{}\r\n"),
        "a head without end": Break(reply=b"HTTP/1.1 200 OK\r\nX: ", end="flood"),
        "a body without end": Break(reply=_HEAD + b"\r\n", end="flood"),
        "a head that drips": Break(reply=b"HTTP/1.1 200 OK\r\nX: ", end="drip"),
        "a body that drips": Break(reply=_HEAD + b"Content-Length: 9999\r\n\r\n", end="drip"),
        "chunks that drip": Break(reply=endless, end="drip", drop=b"1\r\n \r\n"),
        "a body that hangs": Break(reply=_HEAD + b"Content-Length: 9999\r\n\r\n{", end="hang"),
        "1xx without end": Break(
            reply=b"HTTP/1.1 100 Continue\r\n\r\n",
            end="drip",
            drop=b"HTTP/1.1 102 Processing\r\n\r\n",
        ),
    }
    for name, how in http1.items():
        yield _broken(f"HTTP: {name}", None, how)


def _broken(name: str, grpc: Break | None, rest: Break | None) -> Garbage:
    return Garbage(name, "predict", grpc_break=grpc, rest_break=rest)
