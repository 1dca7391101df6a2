"""How much a client may ask for, and who the client is behind proxies."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.support.api_keys import BEARER, KEY, OTHER, problem
from tests.support.gateway import running_gateway, wait_until
from tests.support.raw_http import request_bytes


class TestRateLimits:
    def test_each_answer_says_what_is_left_and_the_last_one_when_to_come_back(
        self, fake, keys_file, photo
    ):
        with running_gateway(
            fake.url, api_keys_file=keys_file, rate_limit_per_key="3/h"
        ) as gateway:

            def ask(key):
                headers = {"X-API-Key": key}
                return gateway.client.post("/classify", files={"file": photo}, headers=headers)

            answers = [ask(KEY) for _ in range(4)]
            assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
            policies = {answer.headers["RateLimit-Policy"] for answer in answers}
            assert policies == {'"key";q=3;w=3600'}
            left = [answer.headers["RateLimit"].split(";")[1] for answer in answers]
            assert left == ["r=2", "r=1", "r=0", "r=0"]
            assert problem(answers[-1]) == "rate-limited"
            retry_after = answers[-1].headers["Retry-After"]
            assert 1100 < int(retry_after) <= 1200
            assert answers[-1].headers["RateLimit"] == f'"key";r=0;t={retry_after}'
            assert answers[0].headers["RateLimit"] == '"key";r=2;t=2400'
            assert ask(OTHER).status_code == 200
            assert gateway.client.get("/readyz").status_code == 200

    def test_a_batch_costs_its_images(self, fake, photo):
        with running_gateway(fake.url, rate_limit_per_address="40/h") as gateway:
            files = [("files", photo)] * 32
            answer = gateway.client.post("/classify/batch", files=files)
            assert (answer.status_code, answer.headers["RateLimit"].split(";")[1]) == (200, "r=8")
            answer = gateway.client.post("/classify/batch", files=files)
            assert (answer.status_code, answer.headers["RateLimit"].split(";")[1]) == (200, "r=0")
            assert gateway.client.post("/classify", files={"file": photo}).status_code == 429

    def test_probes_are_never_counted_and_wrong_keys_are(self, fake, keys_file):
        with running_gateway(
            fake.url, api_keys_file=keys_file, rate_limit_per_address="5/h"
        ) as gateway:
            for _ in range(10):
                assert gateway.client.get("/livez").status_code == 200
            guesses = [gateway.client.get("/models", headers={"X-API-Key": "x"}) for _ in range(7)]
            assert [guess.status_code for guess in guesses] == [401] * 5 + [429] * 2

    def test_refusals_are_counted_by_their_reason(self, fake, keys_file):
        with running_gateway(
            fake.url,
            api_keys_file=keys_file,
            rate_limit_per_key="2/h",
            rate_limit_per_address="7/h",
            allowed_hosts="127.0.0.1",
            admin_port=0,
        ) as gateway:
            gateway.client.get("/models", headers={"Host": "evil.example"})
            gateway.client.get("/models")
            for key in ("x", "y", KEY, KEY, KEY, KEY, OTHER):
                gateway.client.get("/models", headers={"X-API-Key": key})
            counts = {"host": 1, "no_key": 1, "wrong_key": 2, "key_limit": 2, "address_limit": 1}
            expected = [
                f'gateway_refusals_total{{reason="{reason}"}} {count}.0'
                for reason, count in {**counts, "queue": 0}.items()
            ]

            def are_counted():  # a request is counted after its answer has left
                text = gateway.services.metrics.exposition().decode()
                return all(line in text for line in expected)

            wait_until(are_counted, "the refusals are counted")

    def test_both_limits_hold_and_both_are_told(self, fake, keys_file):
        with running_gateway(
            fake.url,
            api_keys_file=keys_file,
            rate_limit_per_address="5/m",
            rate_limit_per_key="3/m",
        ) as gateway:
            answers = [gateway.client.get("/models", headers=BEARER) for _ in range(4)]
            assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
            assert answers[0].headers["RateLimit-Policy"] == '"address";q=5;w=60, "key";q=3;w=60'
            assert answers[0].headers["RateLimit"].startswith('"address";r=4;t=')

    def test_without_limits_nothing_is_said(self, gateway):
        assert "RateLimit" not in gateway.client.get("/models").headers


class TestProxies:
    def limited(self, url, **changes):
        return running_gateway(url, rate_limit_per_address="2/h", **changes)

    def statuses(self, gateway, header, values):
        return [
            gateway.client.get("/models", headers={header: value}).status_code for value in values
        ]

    def test_nobody_is_believed_by_default(self, fake):
        with self.limited(fake.url) as gateway:
            values = [f"198.51.100.{number}" for number in range(4)]
            for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
                assert self.statuses(gateway, header, values)[-2:] == [429, 429]

    def test_a_trusted_proxy_s_clients_are_told_apart(self, fake):
        with self.limited(fake.url, trusted_proxies="127.0.0.0/8") as gateway:
            values = ["198.51.100.1", "198.51.100.2"] * 3
            assert self.statuses(gateway, "X-Forwarded-For", values) == [200] * 4 + [429] * 2

    def test_what_a_client_claims_before_the_proxy_s_word_changes_nothing(self, fake):
        with self.limited(fake.url, trusted_proxies="127.0.0.0/8") as gateway:
            values = [f"6.6.6.{number}, 198.51.100.1" for number in range(4)]
            assert self.statuses(gateway, "X-Forwarded-For", values) == [200, 200, 429, 429]

    def test_only_the_chosen_header_counts(self, fake):
        with self.limited(fake.url, trusted_proxies="127.0.0.0/8") as gateway:
            values = [f"for=198.51.100.{number}" for number in range(4)]
            assert self.statuses(gateway, "Forwarded", values) == [200, 200, 429, 429]
        with self.limited(
            fake.url, trusted_proxies="127.0.0.0/8", forwarding_header="Forwarded"
        ) as gateway:
            assert self.statuses(gateway, "Forwarded", values) == [200] * 4

    def test_an_ipv6_client_is_its_network(self, fake):
        with self.limited(fake.url, trusted_proxies="127.0.0.0/8") as gateway:
            values = [f"2001:db8::{number}" for number in range(4)]
            assert self.statuses(gateway, "X-Forwarded-For", values) == [200, 200, 429, 429]


class TestConnectionsOfProxies:
    """Many clients are behind a proxy: the limit of one client is not its limit."""

    @pytest.mark.parametrize(("proxies", "is_refused"), [("", True), ("127.0.0.1", False)])
    def test_a_trusted_proxy_may_open_as_many_as_there_are(self, fake, proxies, is_refused):
        with (
            running_gateway(
                fake.url, max_connections_per_client=5, trusted_proxies=proxies
            ) as gateway,
            ExitStack() as stack,
        ):
            address = ("127.0.0.1", urlsplit(gateway.url).port)
            for _ in range(6):
                last = stack.enter_context(socket.create_connection(address, timeout=30))
            last.sendall(request_bytes("GET", "/livez"))
            assert last.recv(100).startswith(b"HTTP/1.1 429" if is_refused else b"HTTP/1.1 200")
