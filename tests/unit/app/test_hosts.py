"""The allow-lists of hosts and origins."""

from __future__ import annotations

import pytest

from app.access.hosts import AllowedHosts, parse_hosts, parse_origins


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("example.com", True), ("EXAMPLE.com:8000", True), ("example.com.", True),
        ("a.example.org", True), ("a.b.example.org:1", True), ("[::1]:8000", True), ("[::1]", True),
        ("example.org", False), ("aexample.com", False), ("evilexample.org", False),
        ("example.com.evil.net", False), ("", False), (".example.org", False), ("[::2]", False),
        ("example.com:", True), ("example.com:a", False), ("example.com:80:90", False),
        ("[::1", False), ("[::1]evil.net", False), ("[::1]:", True), ("::1", False),
        ("example.com@evil.net", False), ("example.com\t.evil", False), ("*", False),
    ],
)  # fmt: skip
def test_names_and_subdomains(host, is_ours):
    hosts = AllowedHosts(parse_hosts(" Example.COM, *.example.org,[::1]"))
    assert hosts.allows(host) is is_ours


@pytest.mark.parametrize("text", ["*", "https://a", "a:80", "a/b", "*.", "a..b", "-a", "a.*"])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(ValueError, match="is no host name such as"):
        parse_hosts(f"good.example,{text}")


def test_origins_are_schemes_hosts_and_ports():
    text = "https://App.example.com, http://localhost:3000,*"
    assert parse_origins(text) == ("https://app.example.com", "http://localhost:3000", "*")


@pytest.mark.parametrize("text", ["example.com", "https://a/", "https://a/b", "https://", "null"])
def test_what_is_no_origin_is_refused(text):
    with pytest.raises(ValueError, match="is no origin such as"):
        parse_origins(text)
