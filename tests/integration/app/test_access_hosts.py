"""By which names the gateway is called, and from which pages."""

from __future__ import annotations

from tests.support.api_keys import BEARER, problem
from tests.support.gateway import running_gateway
from tests.support.raw_http import exchange, request_bytes


class TestHostsAndOrigins:
    def test_only_our_hosts_are_answered_and_probes_always(self, fake):
        with running_gateway(fake.url, allowed_hosts="api.example.com,*.example.org") as gateway:
            for host, status in (
                ("api.example.com", 200), ("API.example.com:8000", 200), ("a.example.org", 200),
                ("example.org", 421), ("evil.net", 421), ("api.example.com.evil.net", 421),
            ):  # fmt: skip
                answer = gateway.client.get("/models", headers={"Host": host})
                assert answer.status_code == status, host
                if status == 421:
                    assert problem(answer) == "misdirected-request"
            for probe in ("/livez", "/readyz"):
                assert gateway.client.get(probe, headers={"Host": "10.1.2.3"}).status_code == 200
            bare = exchange(gateway.url, request_bytes("GET", "/models", headers={"Host": None},
                                                       version="1.0"), method="GET")  # fmt: skip
            assert bare.status == 421

    def preflight(self, gateway, origin, method="POST"):
        return gateway.client.options(
            "/classify",
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "x-api-key",
            },
        )

    def test_pages_of_listed_origins_may_call_with_a_key(self, fake, keys_file, photo):
        origin = "https://app.example.com"
        with running_gateway(fake.url, api_keys_file=keys_file, cors_origins=origin) as gateway:
            asked = self.preflight(gateway, origin)
            assert asked.status_code == 200
            assert asked.headers["Access-Control-Allow-Origin"] == origin
            headers = {"Origin": origin, **BEARER}
            answer = gateway.client.post("/classify", files={"file": photo}, headers=headers)
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert "Server-Timing" in answer.headers["Access-Control-Expose-Headers"]
            # A page must be able to read why it was refused.
            refused = gateway.client.get("/models", headers={"Origin": origin})
            assert (refused.status_code, problem(refused)) == (401, "unauthorized")
            assert refused.headers["Access-Control-Allow-Origin"] == origin

    def test_other_pages_may_not(self, fake):
        with running_gateway(fake.url, cors_origins="https://app.example.com") as gateway:
            for answer in (
                self.preflight(gateway, "https://evil.net"),
                self.preflight(gateway, "https://app.example.com", "DELETE"),
            ):
                assert (answer.status_code, problem(answer)) == (400, "bad-request")
                assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
                assert answer.headers["Vary"] == "Origin"
            answer = gateway.client.get("/models", headers={"Origin": "https://evil.net"})
            assert "Access-Control-Allow-Origin" not in answer.headers
            exposed = gateway.client.get("/metrics").text
        assert 'gateway_problems_total{type="bad-request"} 2.0' in exposed

    def test_without_a_list_there_is_no_cors(self, gateway):
        assert self.preflight(gateway, "https://app.example.com").status_code == 405
