"""The parts of a connection: heads, bodies, rates, and who has to go when there are too many."""

from __future__ import annotations

import asyncio
import resource

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import (
    HeadersTooLargeError,
    OverloadedError,
    RequestError,
    RequestTimeoutError,
    TooManyConnectionsError,
    UrlTooLongError,
)
from app.http.connection import limits as limits_module
from app.http.connection.body import ChunkedBody, LengthBody, body_of
from app.http.connection.census import MAX_LINGERING, Census
from app.http.connection.head import end_of_head, parse_head
from app.http.connection.inflow import Inflow
from app.http.connection.limits import RESERVED_FILES, Limits, limits_of
from app.settings.gateway import Settings

LIMITS = Limits(
    max_request_line_bytes=100,
    max_header_bytes=200,
    max_header_fields=5,
    header_timeout_seconds=1,
    keep_alive_seconds=1,
    min_body_bytes_per_second=100,
    write_timeout_seconds=1,
    max_connections=4,
    max_connections_per_client=3,
)
HEAD = b"POST /a%20b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"


def ends(data, start=0):
    return end_of_head(bytearray(data), start, LIMITS)


@given(st.text("abc/?#%.:&=", max_size=20))
def test_targets_are_split_where_the_url_parser_does(rest):
    target = ("/" + rest).encode()
    url = httptools.parse_url(target)
    head = parse_head(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (head.raw_path, head.query) == (url.path, url.query or b"")


@pytest.mark.parametrize("cut", range(len(HEAD)))
def test_a_head_is_complete_at_its_empty_line_and_not_before(cut):
    assert ends(HEAD[:cut] or b"P") is None
    assert ends(HEAD + b"body", cut) == len(HEAD)


def test_sizes_count_while_a_head_is_incomplete_too():
    with pytest.raises(UrlTooLongError):
        ends(b"GET /" + b"a" * 200)
    with pytest.raises(HeadersTooLargeError, match="200 bytes"):
        ends(b"GET / HTTP/1.1\r\nA: " + b"b" * 300)
    with pytest.raises(HeadersTooLargeError, match="5 headers"):
        ends(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 6)
    assert ends(b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 5 + b"\r\n") is not None


def test_what_a_head_says():
    head = parse_head(HEAD)
    assert (head.method, head.path, head.raw_path) == ("POST", "/a b", b"/a%20b")
    assert (head.query, head.version, head.content_length) == (b"c=d", "1.1", 3)
    assert head.headers == [(b"host", b"x"), (b"content-length", b"3")]
    assert head.keep_alive
    assert not head.is_chunked
    assert isinstance(body_of(head), LengthBody)


@pytest.mark.parametrize(
    ("lines", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: a, Close\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n", True),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", False),
        (b"GET http://x/livez HTTP/1.1\r\nHost: x\r\n", True),
    ],
)
def test_whether_a_connection_stays(lines, keep_alive):
    assert parse_head(lines + b"\r\n").keep_alive == keep_alive


def test_a_target_that_names_another_host_than_the_header_is_refused():
    assert parse_head(b"GET http://X:80/a?b HTTP/1.1\r\nHost: x:80\r\n\r\n").path == "/a"
    for target in (b"http://evil.org/", b"http://x:81/", b"http://x@evil.org/", b"http://evil/x/"):
        with pytest.raises(RequestError, match="different hosts"):
            parse_head(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")


def test_an_offer_to_upgrade_changes_nothing():
    offer = HEAD[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert parse_head(offer).content_length == 3


def read(body, data, sizes):
    found, position, number = [], 0, 0
    while position < len(data) and not body.is_complete:
        piece = data[position : position + sizes[number % len(sizes)]]
        position += body.feed(piece, found)
        number += 1
    return b"".join(found), position


def chunked(pieces, trailers=b""):
    chunks = b"".join(b"%x;e=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return chunks + b"0\r\n" + trailers + b"\r\n"


SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=4)


@given(pieces=st.lists(st.binary(max_size=60), max_size=6), sizes=SIZES, after=st.binary())
def test_chunks_end_where_they_end_however_they_arrive(pieces, sizes, after):
    data = chunked(pieces, b"Trailer: x\r\n")
    body = ChunkedBody()
    assert read(body, data + after, sizes) == (b"".join(pieces), len(data))
    assert body.is_complete


@given(content=st.binary(min_size=1), sizes=SIZES, after=st.binary())
def test_a_length_ends_where_it_ends(content, sizes, after):
    body = LengthBody(len(content))
    assert read(body, content + after, sizes) == (content, len(content))
    assert body.remaining == 0


@given(data=st.binary(max_size=200), sizes=SIZES)
def test_no_bytes_surprise_the_reader_of_chunks(data, sizes):
    body = ChunkedBody()
    try:
        read(body, data, sizes)
    except RequestError:
        return
    assert len(body._line) <= 1024


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"1;" + b"a" * 2000, HeadersTooLargeError),
        (b"0\r\n" + b"a: b\r\n" * 2000, HeadersTooLargeError),
        (b"1\r\na\r\n" * 20_000, RequestError),
        (b"1;" + b"a" * 900 + b"\r\nx\r\n", None),
    ],
)
@pytest.mark.parametrize("size", [1, 100, 10**6])
def test_what_is_around_chunks_is_bounded(data, error, size):
    if error is None:
        read(ChunkedBody(), data, [size])
        return
    with pytest.raises(error):
        read(ChunkedBody(), data, [size])


def test_a_body_that_is_too_slow_is_noticed_and_our_own_pauses_are_not_its_fault():
    inflow = Inflow(LengthBody(10**6), 0.0)
    assert inflow.first_check() == 5.0
    inflow.feed(bytes(600), [])
    assert inflow.next_check(5.0, 100) == 6.0
    inflow.pause(6.0)
    assert inflow.next_check(60.0, 100) > 60.0
    inflow.resume(60.0)
    assert inflow.next_check(60.0, 100) == 61.0
    with pytest.raises(RequestTimeoutError):
        inflow.next_check(61.0, 100)


class Member:
    def __init__(self, peer="a"):
        self.peer = peer
        self.is_evicted = False

    def check(self, now):
        pass

    def evict(self):
        self.is_evicted = True


@pytest.fixture
def refused():
    return []


@pytest.fixture
async def census(refused):
    census = Census(LIMITS, refused=lambda reason, peer: refused.append((reason, peer)))
    yield census
    for member in list(census._members):
        census.leave(member)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_one_client_has_its_part(census, refused):
    assert [census.enter(Member()) for _ in range(3)] == [None] * 3
    excess = Member()
    assert isinstance(census.enter(excess), OverloadedError)
    census.lingers(excess)
    assert census.enter(Member("b")) is None
    assert refused == [("client", "a")]


@pytest.mark.anyio
async def test_the_longest_waiting_makes_room(census, refused):
    members = [Member(str(number)) for number in range(4)]
    for member in members:
        census.enter(member)
        census.waits(member)
    census.works(members[0])
    assert census.enter(Member("new")) is None
    assert [member.is_evicted for member in members] == [False, True, False, False]
    assert refused == [("idle", "1")]


@pytest.mark.anyio
async def test_nobody_who_works_makes_room(census, refused):
    for number in range(4):
        census.enter(Member(str(number)))
    assert isinstance(census.enter(Member("new")), TooManyConnectionsError)
    assert refused == [("total", "new")]


@pytest.mark.anyio
async def test_few_linger_at_a_time(census):
    members = [Member(str(number)) for number in range(MAX_LINGERING + 2)]
    for member in members:
        census.enter(member)
        census.lingers(member)
    assert [member.is_evicted for member in members[:3]] == [True, True, False]


@pytest.mark.anyio
async def test_nothing_is_left_when_all_have_gone(census):
    member = Member()
    census.enter(member)
    await asyncio.sleep(0)
    census.leave(member)
    assert census.connections == 0
    assert not census._of_client
    assert census._ticker is None


def test_connections_stay_below_the_limit_of_files(monkeypatch):
    settings = Settings(model_name="m", max_connections=1000)
    for soft, connections in (
        (resource.RLIM_INFINITY, 1000),
        (10_000, 1000),
        (600, 600 - RESERVED_FILES),
        (10, 1),
    ):
        monkeypatch.setattr(limits_module.resource, "getrlimit", lambda _, s=soft: (s, s))
        limits = limits_of(settings)
        assert limits.max_connections == connections
        assert limits.max_connections_per_client == max(1, connections // 2)
