"""What is no gateway, or stops being one: scripted servers over real sockets."""

import socket
import threading
from contextlib import contextmanager

import pytest

import sightserve

ANSWER = (
    b'{"request_id": "r", "model": {"name": "m", "version": 1}, "predictions": [],'
    b' "image": {"format": "PNG", "width": 1, "height": 1},'
    b' "timing_ms": {"decode": 1, "queue": 1, "inference": 1, "total": 1}}'
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER
BUSY = (
    b"HTTP/1.1 503 Busy\r\nContent-Type: application/problem+json\r\nRetry-After: 0\r\n"
    b'Content-Length: 42\r\n\r\n{"type": "/problems/x", "title": "Busy  "}'
)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
    len(ANSWER),
    ANSWER,
)


@contextmanager
def scripted(*answers):
    """A server that gives each connection the next answer and then closes it; and what it read."""
    requests = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    requests.append(_read(connection))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", requests
        thread.join(60)


def _read(connection):
    data = b""
    while not data.endswith(b"\r\n\r\nimage"):
        data += connection.recv(65_536)
    return data


@pytest.mark.parametrize("first", [b"", BUSY])
def test_what_was_refused_or_cut_is_asked_again_under_the_same_id(first):
    with scripted(first, OK) as (url, requests), sightserve.Client(url) as client:
        assert client.classify(b"image").model.name == "m"
    ids = [
        line for each in requests for line in each.split(b"\r\n") if b"x-request-id" in line.lower()
    ]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_the_gateway_is_told_how_much_time_is_left():
    with scripted(OK) as (url, requests), sightserve.Client(url, timeout=7) as client:
        client.classify(b"image")
    (told,) = [line for line in requests[0].split(b"\r\n") if b"timeout-ms" in line.lower()]
    assert 6000 < int(told.split(b":")[1]) <= 7000


@pytest.mark.parametrize(
    "answer", [OK, CHUNKED, b"HTTP/1.0 200 OK\r\n\r\n" + ANSWER, b"HTTP/1.1 100 \r\n\r\n" + OK]
)
def test_every_framing_of_http_is_read(answer):
    with scripted(answer) as (url, _), sightserve.Client(url, retries=0) as client:
        assert client.classify(b"image").request_id == "r"


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (b"", sightserve.AnswerCutError, "without an answer"),
        (OK[:-5], sightserve.AnswerCutError, "middle"),
        (CHUNKED[:-9], sightserve.AnswerCutError, "middle"),
        (b"\x00\x00\x12\x04\x00\x00", sightserve.AnswerCutError, "gRPC"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", sightserve.AnswerCutError, "HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200, sightserve.AnswerCutError, "HTTP"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            sightserve.UnexpectedAnswerError,
            "200",
        ),
        (b"HTTP/1.1 502 Bad\r\n\r\n<html>", sightserve.UnexpectedAnswerError, "proxy"),
    ],
)
def test_what_is_no_answer_has_an_error_that_says_so(answer, error, said):
    with (
        scripted(answer) as (url, _),
        sightserve.Client(url, retries=0) as client,
        pytest.raises(error, match=said),
    ):
        client.classify(b"image")


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    nobody = sightserve.Client(f"http://127.0.0.1:{port}", retries=0)
    with nobody as client, pytest.raises(sightserve.CannotConnectError, match="refused"):
        client.ready()


def test_https_to_a_gateway_that_speaks_http(gateway):
    url = gateway.url.replace("http:", "https:")
    expected = pytest.raises(sightserve.CannotConnectError, match="does it speak http")
    with sightserve.Client(url, verify=False) as client, expected as raised:
        client.ready()
    assert not raised.value.is_retriable


def test_a_server_that_says_nothing_is_not_waited_for_beyond_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        expected = pytest.raises(sightserve.AnswerTimeoutError)
        with sightserve.Client(url, timeout=0.01) as client, expected as raised:
            client.classify(b"image")
    assert isinstance(raised.value, TimeoutError)
    assert raised.value.request_id
