"""GATEWAY_MODEL_SERVER_URL."""

from __future__ import annotations

import socket

import pytest

from app.model_server.addresses import Address, Targets, parse_targets, resolve


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("grpc://host:8500", Targets("grpc", (Address("host", 8500),), ())),
        ("http://10.0.0.1:8501/", Targets("http", (Address("10.0.0.1", 8501),), ())),
        ("grpc://[::1]:8500", Targets("grpc", (Address("[::1]", 8500),), ())),
        (
            "grpc://a:1, grpc://b:2",
            Targets("grpc", (Address("a", 1), Address("b", 2)), ()),
        ),
        ("grpc://dns:svc.ns:8500", Targets("grpc", (), (Address("svc.ns", 8500),))),
        ("grpcs://a:1", Targets("grpc", (Address("a", 1),), (), is_secure=True)),
        ("https://dns:b:2", Targets("http", (), (Address("b", 2),), is_secure=True)),
        ("grpc://a:1,grpc://a:1", Targets("grpc", (Address("a", 1),), ())),
    ],
)
def test_urls_are_read(text, expected):
    assert parse_targets(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " , ", "host:8500", "ftp://host:1", "grpc://host", "grpc://host:0", "grpc://host:99999",
     "grpc://a:1,http://a:2", "grpc://a:1,grpcs://b:1", "grpc://a b:1", "grpc://unix:", "grpc://unix:a"],
)  # fmt: skip
def test_other_urls_are_refused(text):
    with pytest.raises(ValueError, match=r"grpc"):
        parse_targets(text)


def test_a_unix_socket_may_come_later(tmp_path):
    (tmp_path / "there").touch()
    targets = parse_targets(f"grpc://unix:{tmp_path}/later")
    assert targets == Targets("grpc", (Address(f"unix:{tmp_path}/later", 0),), ())
    assert str(*targets.fixed) == f"unix:{tmp_path}/later"
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(f"{tmp_path}/socket")
        assert parse_targets(f"grpc://unix:{tmp_path}/socket").fixed


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("grpc://unix:{}/file", "file is no socket"),
        ("grpc://unix:{}/nowhere/socket", "there is no folder"),
        ("grpc://unix:{}/" + 100 * "x", "at most 107 bytes"),
        ("grpc://unix:relative", "begins with /"),
        ("http://unix:{}/socket", "gRPC only"),
        ("grpcs://unix:{}/socket", "gRPC only"),
        ("grpc://unix:{}/socket,http://a:1", "same scheme"),
    ],
)
def test_what_can_never_be_a_unix_socket_is_refused(tmp_path, url, reason):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=reason):
        parse_targets(url.format(tmp_path))


@pytest.mark.anyio
async def test_names_resolve_to_all_addresses():
    targets = parse_targets("grpc://dns:localhost:8500,grpc://10.1.1.1:1")
    found = await resolve(targets)
    assert found is not None
    assert Address("10.1.1.1", 1) in found
    assert {(address.port, address.name) for address in found} == {(1, ""), (8500, "localhost")}


@pytest.mark.anyio
async def test_a_name_that_does_not_resolve_says_nothing():
    assert await resolve(parse_targets("grpc://dns:no-such-host.invalid:1")) is None
