"""TLS settings of clients, as far as they need no server."""

from __future__ import annotations

import asyncio

import pytest

from protocol.rest_client import RestClient
from protocol.tls import Tls


def test_a_name_that_is_expected_already_stays():
    tls = Tls.load(server_name="chosen.test")
    assert tls.naming("resolved.test").server_name == "chosen.test"
    assert Tls.load().naming("resolved.test").server_name == "resolved.test"


@pytest.mark.parametrize(
    ("name", "host"), [("", "10.0.0.1:8501"), ("server.test", "server.test:8501")]
)
def test_a_proxy_in_front_of_the_server_is_told_its_name(name, host):
    client = RestClient("10.0.0.1:8501", Tls.load(server_name=name))
    request = client._client.build_request("GET", "/")
    asyncio.run(client.aclose())
    assert request.headers["host"] == host
