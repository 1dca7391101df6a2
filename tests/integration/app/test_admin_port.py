"""A second port for those who run the gateway."""

from __future__ import annotations

import json
import socket

import httpx
import pytest

from tests.support.gateway import gateway_process
from tests.support.raw_http import exchange, request_bytes


class TestAdminPort:
    MOVED = ("/metrics", "/stats", "/docs", "/openapi.json")
    BOTH = ("/livez", "/readyz", "/healthz")

    def admin_url(self, gateway):
        lines = [json.loads(line) for line in gateway.log if "for administrators" in line]
        return f"http://127.0.0.1:{lines[0]['port']}"

    def test_it_answers_what_the_first_one_no_longer_does(self, fake, photo):
        with gateway_process(fake.url, GATEWAY_ADMIN_PORT="0") as gateway:
            admin = self.admin_url(gateway)

            def status(url, path, method="GET"):
                return exchange(url, request_bytes(method, path), method=method).status

            assert [status(gateway.url, path) for path in self.MOVED] == [404] * 4
            assert [status(admin, path) for path in self.MOVED] == [200] * 4
            assert [status(url, path) for url in (gateway.url, admin) for path in self.BOTH] == (
                [200] * 6
            )
            assert [status(admin, path) for path in ("/", "/models", "/no")] == [404] * 3
            assert status(admin, "/classify", "POST") == 404
            assert gateway.client.post("/classify", files={"file": photo}).status_code == 200
            metrics = httpx.get(f"{admin}/metrics", trust_env=False).text
            assert 'gateway_images_total{model="demo",version="1"} 1.0' in metrics
            assert gateway.terminate() == 0
        assert "Traceback" not in "".join(gateway.log)

    def test_it_asks_for_no_key_host_or_limit(self, fake, keys_file):
        settings = {
            "GATEWAY_ADMIN_PORT": "0",
            "GATEWAY_API_KEYS_FILE": str(keys_file),
            "GATEWAY_RATE_LIMIT_PER_ADDRESS": "1/h",
            "GATEWAY_ALLOWED_HOSTS": "api.example.com",
        }
        with gateway_process(fake.url, **settings) as gateway:
            for path in (*self.MOVED, *self.BOTH):
                answer = httpx.get(f"{self.admin_url(gateway)}{path}", trust_env=False)
                assert answer.status_code == 200
                assert "RateLimit" not in answer.headers
            # And nobody makes a request look as if it came in there.
            headers = {"Host": "api.example.com", "is_admin": "1", "X-Forwarded-Port": "0"}
            assert gateway.client.get("/models", headers=headers).status_code == 401

    def test_a_port_that_is_taken_ends_the_start_in_one_line(self, fake):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            with (
                pytest.raises(
                    AssertionError, match="GATEWAY_ADMIN_PORT cannot be opened"
                ) as caught,
                gateway_process(fake.url, GATEWAY_ADMIN_PORT=port),
            ):
                pass
        assert "Traceback" not in str(caught.value)
