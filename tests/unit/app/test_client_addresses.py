"""Where a request comes from, and how little a client's word counts in it."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.access.addresses import TrustedProxies, parse_networks, share_of

OURS = parse_networks("10.0.0.0/8, 2001:db8:1::/48,192.0.2.7")


def address(header, peer, *values):
    return TrustedProxies(OURS, header).client_address(peer, values)


@pytest.mark.parametrize(
    ("peer", "values", "expected"),
    [
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what the client sent is no news
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.9.9.9"], "198.51.100.1"),  # two of our proxies
        ("10.0.0.1", ["198.51.100.1,192.0.2.7 , 10.2.3.4"], "198.51.100.1"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # not a proxy of ours
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::5]:4711"], "2001:db8::5"),
        ("2001:db8:1::1", ["2001:db8::5"], "2001:db8::5"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),  # a dual-stack socket's peer
        ("", ["198.51.100.1"], ""),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),  # a client inside
    ],
)
def test_x_forwarded_for_is_read_from_the_right_through_trusted_hops(peer, values, expected):
    assert address("X-Forwarded-For", peer, *values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["for=198.51.100.1"], "198.51.100.1"),
        (["For=198.51.100.1;proto=http;by=10.0.0.1"], "198.51.100.1"),
        (["for=6.6.6.6, for=198.51.100.1"], "198.51.100.1"),
        (['for="[2001:db8::5]:4711"'], "2001:db8::5"),
        (['for="198.51.100.1:80" ; proto=https'], "198.51.100.1"),
        (["for=198.51.100.1, for=10.0.0.2"], "198.51.100.1"),
        (["for=_hidden"], "10.0.0.1"),
        (["proto=https"], "10.0.0.1"),
        # A client's words inside what the proxy quotes:
        (['host="a;for=6.6.6.6,for=6.6.6.6";for=198.51.100.1'], "198.51.100.1"),
        (['for=198.51.100.1;host="a\\",for=6.6.6.6,\\""'], "198.51.100.1"),
        (['for=198.51.100.1;host="a\\\\"'], "198.51.100.1"),
        # A quote that a client opened, before what the proxy appends:
        (['for=", for=198.51.100.1'], "198.51.100.1"),
        (['for=", for="[2001:db8::5]:1"'], "2001:db8::5"),
        (['for="', "for=198.51.100.1"], "198.51.100.1"),
    ],
)
def test_forwarded_is_read_from_the_right_outside_of_quotes(values, expected):
    assert address("Forwarded", "10.0.0.1", *values) == expected


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
@given(said=st.text(st.characters(max_codepoint=255), max_size=60))
@example(said='"')
@example(said='for="\\')
def test_nothing_that_a_client_writes_hides_its_address(header, said):
    appended = "198.51.100.1" if header == "X-Forwarded-For" else "for=198.51.100.1"
    for values in ([f"{said}, {appended}"], [said, appended]):
        assert address(header, "10.0.0.1", *values) == "198.51.100.1"


@pytest.mark.parametrize("unit", ['"', '"\\', "\\", ",", ";", " ", "for=", '"\\"', "10.0.0.1,"])
def test_a_long_header_takes_time_in_proportion(unit):
    for header in ("X-Forwarded-For", "Forwarded"):
        start = time.process_time()
        address(header, "10.0.0.1", unit * (64_000 // len(unit)))
        assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("address", "share"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("", ""),
        ("a:b", "a:b"),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(address, share):
    assert share_of(address) == share


@pytest.mark.parametrize("text", ["10.0.0.0/33", "proxy", "10.0.0.1/8", "*"])
def test_what_is_no_network_is_named(text):
    with pytest.raises(ValueError, match="is no network such as"):
        parse_networks(f"10.0.0.0/8,{text}")


def test_a_trusted_proxy_s_connection_is_nobody_s():
    proxies = TrustedProxies(OURS, "Forwarded")
    assert [
        proxies.share_of(peer) for peer in ("10.0.0.1", "::ffff:10.0.0.1", "2001:db8:1::1")
    ] == [""] * 3
    assert proxies.share_of("198.51.100.1") == "198.51.100.1"
    assert proxies.share_of("2001:db8::1") == "2001:db8::/64"
