"""The guard by itself, under any headers: nobody without a key comes in, nothing breaks."""

from __future__ import annotations

import time
from hashlib import sha256

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app.access.addresses import TrustedProxies, parse_networks
from app.access.keys import KeyRing
from app.access.limits import Limiter, Rate
from app.http.access import ClientGuard
from app.http.callers import Callers
from app.http.middleware import Observe
from app.http.record import RequestRecord
from app.metrics.gateway import Metrics

KEY = b"the-key"
RING = KeyRing([("alice", sha256(KEY).digest())])
NAMES = st.sampled_from(
    [b"authorization", b"x-api-key", b"x-forwarded-for", b"forwarded", b"host", b"cookie"]
)
VALUES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([KEY, b"Bearer " + KEY, b"bearer\t" + KEY, KEY + b"x", b"Basic YTpi", b""]),
)
PATHS = st.sampled_from(["/classify", "/models", "/", "/livez", "/metrics", "/problems/a/b", ""])


def run(coroutine):
    """These coroutines wait for nothing: one step is all."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def asked(guard_of, path, headers):
    """The status, or None where the request came in; and the record."""
    came_in, statuses = [], []
    record = RequestRecord("id", 0.0, "10.0.0.1")

    async def routes(_scope, _receive, _send):
        came_in.append(True)

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "path": path,
        "headers": headers,
        "client": ("10.0.0.1", 1),
        "state": {"record": record},
    }
    run(guard_of(routes)(scope, None, send))
    assert len(came_in) + len(statuses) == 1
    return (statuses[0] if statuses else None), record


def closed(routes):
    return ClientGuard(
        routes,
        callers=Callers(
            proxies=TrustedProxies(parse_networks("10.0.0.0/8"), "Forwarded"), keys=lambda: RING
        ),
        per_address=Limiter(Rate(1000, 1), clock=time.monotonic),
        per_key=Limiter(Rate(1000, 1), clock=time.monotonic),
    )


def keys_shown(headers):
    """What the rules of the documentation say, written another way."""
    shown = []
    for name, value in headers:
        if name == b"x-api-key":
            shown.append(value.strip(b" \t"))
        elif name == b"authorization" and value[:7].lower() == b"bearer ":
            shown.append(value[7:].strip(b" \t"))
    return {key for key in shown if key}


@given(path=PATHS, headers=st.lists(st.tuples(NAMES, VALUES), max_size=6))
def test_only_one_right_key_opens_what_is_closed(path, headers):
    status, record = asked(closed, path, headers)
    if path in {"/", "/livez"}:
        assert status is None
    elif keys_shown(headers) == {KEY}:
        assert (status, record.client) == (None, "alice")
    else:
        assert status == (400 if len(keys_shown(headers)) > 1 else 401)
        assert record.client != "alice"


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        (("198.51.100.1", 1), "198.51.100.1"),
        (("2001:db8::5", 1), "2001:db8::/64"),
        (None, ""),
    ],
)
def test_without_a_guard_a_client_is_its_peer_and_an_ipv6_one_its_network(peer, client):
    seen = []

    async def routes(scope, _receive, _send):
        seen.append(scope["state"]["record"].client)

    async def send(_):
        """Nobody listens."""

    observed = Observe(routes, metrics=Metrics(time.monotonic).http, log=structlog.get_logger())
    scope = {"type": "http", "method": "GET", "path": "/livez", "headers": [], "client": peer}
    run(observed(scope, None, send))
    assert seen == [client]
