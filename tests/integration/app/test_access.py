"""Keys, limits, hosts, origins and proxies, over real sockets."""

from __future__ import annotations

import base64
import json
import random
import socket
import threading
from collections import Counter
from contextlib import ExitStack
from hashlib import sha256
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.gateway import gateway_process, running_gateway
from tests.support.processes import wait_until
from tests.support.raw_http import exchange, request_bytes

KEY, OTHER = "k-alice", "k-bob"
BEARER = {"Authorization": f"Bearer {KEY}"}
PROTECTED = ("/models", "/models/demo", "/metrics", "/stats", "/healthz", "/no-such", "/classify/")
OPEN = ("/", "/docs", "/openapi.json", "/livez", "/readyz", "/problems/unauthorized")


def hash_line(name, key):
    return f"{name}:{sha256(key.encode()).hexdigest()}\n"


@pytest.fixture
def keys_file(tmp_path):
    path = tmp_path / "keys"
    path.write_text(hash_line("alice", KEY) + hash_line("bob", OTHER))
    return path


@pytest.fixture
def guarded(fake, keys_file):
    with running_gateway(fake.url, api_keys_file=keys_file) as running:
        yield running


def problem(answer):
    """The slug of a problem, after a look at its form."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    return body["type"].removeprefix("/problems/")


class TestKeys:
    @pytest.mark.parametrize(
        "headers", [BEARER, {"X-API-Key": KEY}, {"authorization": f"bEARER  {KEY}"}]
    )
    def test_a_key_opens_the_gateway_in_either_header(self, guarded, photo, headers):
        answer = guarded.client.post("/classify", files={"file": photo}, headers=headers)
        assert answer.status_code == 200
        assert guarded.client.get("/models", headers=headers).status_code == 200

    @pytest.mark.parametrize("path", PROTECTED)
    def test_without_one_there_is_nothing(self, guarded, path):
        for method in ("GET", "POST", "HEAD", "DELETE"):
            answer = guarded.client.request(method, path)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="sightserve"'

    def test_no_spelling_of_a_path_is_protected_less(self, guarded):
        for path in (
            *("/cl%61ssify", "//classify", "/classify?x=/livez", "/livez/../models", "/./"),
            *("/models/%2e%2e/livez", "/livez/", "/LIVEZ", "/problems/../models", "/problems/a/b"),
        ):
            answer = exchange(guarded.url, request_bytes("GET", path), method="GET")
            assert answer.status == 401, path

    @pytest.mark.parametrize("path", OPEN)
    def test_probes_page_and_documentation_need_none(self, guarded, path):
        assert guarded.client.get(path).status_code in {200, 307}

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-API-Key": "wrong"},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Bearer {KEY}x"},
            {"Authorization": f"Bearer {sha256(KEY.encode()).hexdigest()}"},  # its hash is no key
            {"X-API-Key": "ключ".encode()},
            {"X-API-Key": bytes(range(0x80, 0x100))},
            {"X-API-Key": "a" * 8000},
        ],
    )
    def test_a_wrong_one_is_401_and_says_so(self, guarded, headers):
        answer = guarded.client.get("/models", headers=headers)
        assert (answer.status_code, problem(answer)) == (401, "unauthorized")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert KEY not in answer.text

    @pytest.mark.parametrize(
        "value", ["Basic " + base64.b64encode(b"alice:x").decode(), KEY, "Bearer"]
    )
    def test_an_authorization_that_is_no_bearer_token_is_no_key(self, guarded, value):
        assert guarded.client.get("/models", headers={"Authorization": value}).status_code == 401
        both = {"Authorization": value, "X-API-Key": KEY}
        assert guarded.client.get("/models", headers=both).status_code == 200

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ([("Authorization", f"Bearer {KEY}"), ("X-API-Key", KEY)], 200),
            ([("Authorization", f"Bearer {KEY}"), ("X-API-Key", OTHER)], 400),
            ([("Authorization", "Bearer wrong"), ("X-API-Key", KEY)], 400),
            ([("X-API-Key", KEY), ("X-API-Key", "wrong")], 400),
            ([("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {OTHER}")], 400),
        ],
    )
    def test_several_keys_must_agree(self, guarded, headers, status):
        assert guarded.client.get("/models", headers=headers).status_code == status

    def test_a_key_may_be_any_bytes_and_long(self, fake, tmp_path):
        keys = ["ключ-🔑".encode(), b"\x80\xff", b"k" * 8000]
        path = tmp_path / "keys"
        path.write_text("".join(f"c{n}:{sha256(k).hexdigest()}\n" for n, k in enumerate(keys)))
        with running_gateway(fake.url, api_keys_file=path) as gateway:
            for key in keys:
                answer = gateway.client.get("/models", headers={"X-API-Key": key})
                assert answer.status_code == 200

    def test_a_refused_upload_leaves_nothing_in_progress(self, guarded, photo):
        for _ in range(20):
            assert guarded.client.post("/classify", files={"file": photo}).status_code == 401
        assert (guarded.services.admission.images, guarded.services.buffers.bytes) == (0, 0)

    def test_generated_clients_are_told(self, guarded, gateway):
        document = guarded.client.get("/openapi.json").json()
        assert document["security"] == [{"bearer": []}, {"header": []}]
        assert document["components"]["securitySchemes"]["header"]["name"] == "X-API-Key"
        assert document["paths"]["/readyz"]["get"]["security"] == []
        assert "security" not in document["paths"]["/classify"]["post"]
        assert "security" not in gateway.client.get("/openapi.json").json()

    def test_metrics_count_the_keys(self, guarded):
        text = guarded.client.get("/metrics", headers=BEARER).text
        assert "gateway_api_keys 2.0" in text
        assert "gateway_api_keys_stale 0.0" in text


class TestKeysOfAProcess:
    def test_the_log_names_the_client_and_never_a_key(self, fake, keys_file, photo):
        wrong = "wrong-key-of-somebody"
        with gateway_process(fake.url, GATEWAY_API_KEYS_FILE=str(keys_file)) as gateway:
            gateway.client.post("/classify", files={"file": photo}, headers=BEARER)
            gateway.client.post("/classify", files={"file": photo}, headers={"X-API-Key": wrong})
            gateway.terminate()
        good, bad = [line for line in map(json.loads, gateway.log) if line["event"] == "request"]
        assert (good["client"], good["status"]) == ("alice", 200)
        assert (bad["problem"], bad["status"], bad["level"]) == ("unauthorized", 401, "info")
        for secret in (KEY, wrong, sha256(KEY.encode()).hexdigest()):
            assert secret not in "".join(gateway.log)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("alice:abc", "line 1: write name:sha256"),
            ("", "it holds no key"),
            (None, "No such file"),
        ],
    )
    def test_a_file_that_cannot_be_used_ends_the_start_in_one_line(
        self, fake, tmp_path, content, message
    ):
        path = tmp_path / "keys"
        if content is not None:
            path.write_text(content)
        with (
            pytest.raises(AssertionError, match="the gateway ended") as caught,
            gateway_process(fake.url, GATEWAY_API_KEYS_FILE=str(path)),
        ):
            pass
        (line,) = str(caught.value).splitlines()[:1]
        assert f"error: GATEWAY_API_KEYS_FILE: {path}: {message}" in line
        assert "Traceback" not in str(caught.value)

    def test_keys_change_under_traffic_without_a_wrong_answer(self, fake, keys_file, photo):
        """Alice stays, bob goes and carol comes; then the file is broken, and nothing changes."""
        statuses = {"k-alice": Counter(), "k-bob": Counter(), "k-carol": Counter()}
        stopping = threading.Event()

        def call(url, key):
            with httpx.Client(base_url=url, trust_env=False, verify=False, timeout=30) as client:  # noqa: S501
                while not stopping.is_set():
                    headers = {"X-API-Key": key}
                    answer = client.post("/classify", files={"file": photo}, headers=headers)
                    statuses[key][answer.status_code] += 1
                    stopping.wait(0.02)

        with gateway_process(fake.url, GATEWAY_API_KEYS_FILE=str(keys_file)) as gateway:
            threads = [threading.Thread(target=call, args=(gateway.url, key)) for key in statuses]
            for thread in threads:
                thread.start()
            try:
                wait_until(lambda: statuses["k-bob"][200] and statuses["k-carol"][401])
                keys_file.write_text(hash_line("alice", KEY) + hash_line("carol", "k-carol"))
                wait_until(lambda: statuses["k-bob"][401] and statuses["k-carol"][200])
                keys_file.write_text("broken\n")
                wait_until(lambda: "api keys not changed" in "".join(gateway.log))
                seen = statuses["k-carol"][200]
                wait_until(lambda: statuses["k-carol"][200] > seen + 3)
            finally:
                stopping.set()
                for thread in threads:
                    thread.join()
        assert set(statuses["k-alice"]) == {200}
        assert set(statuses["k-bob"]) | set(statuses["k-carol"]) == {200, 401}
        assert "line 1: write name:sha256" in "".join(gateway.log)


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
            text = gateway.services.metrics.exposition().decode()
        expected = {"host": 1, "no_key": 1, "wrong_key": 2, "key_limit": 2, "address_limit": 1}
        for reason, count in expected.items():
            assert f'gateway_refusals_total{{reason="{reason}"}} {count}.0' in text
        assert 'gateway_refusals_total{reason="queue"} 0.0' in text

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
            answer = gateway.client.get("/models", headers={"Origin": "https://evil.net"})
            assert "Access-Control-Allow-Origin" not in answer.headers

    def test_without_a_list_there_is_no_cors(self, gateway):
        assert self.preflight(gateway, "https://app.example.com").status_code == 405


def random_header(draw):
    """A header line that may hold a key, nearly hold one, or be noise."""
    names = [b"Authorization", b"X-API-Key", b"authorization", b"x-api-key", b"X-Forwarded-For",
             b"Forwarded", b"Host", b"Origin", b"Cookie", b"X-API-Key "]  # fmt: skip
    pieces = [b"Bearer ", b"bearer", b"Basic ", KEY.encode()[:-1], KEY.encode().swapcase(), b"\t",
              b" ", b",", b"alice", b"\xff", b"\xc3\xa4", b"for=", b'"', b"127.0.0.1", b"null",
              b"k" * 500, sha256(KEY.encode()).hexdigest().encode()]  # fmt: skip
    value = b"".join(draw.choices(pieces, k=draw.randint(0, 5)))
    return draw.choice(names) + b": " + value


def test_under_random_headers_nobody_comes_in_and_nothing_fails(fake, keys_file):
    """Two thousand requests without a right key: no answer is 2xx, none is 5xx."""
    draw = random.Random(7)  # noqa: S311 - no secret
    paths = ["/models", "/models/demo", "/classify", "/metrics", "/stats", "/healthz", "/x"]
    statuses = Counter()
    with gateway_process(
        fake.url,
        GATEWAY_API_KEYS_FILE=str(keys_file),
        GATEWAY_RATE_LIMIT_PER_ADDRESS="1000/h",
        GATEWAY_RATE_LIMIT_PER_KEY="10/s",
        GATEWAY_TRUSTED_PROXIES="127.0.0.0/8",
        GATEWAY_CORS_ORIGINS="https://app.example.com",
    ) as gateway:
        for _ in range(2000):
            lines = [random_header(draw) for _ in range(draw.randint(0, 6))]
            method = draw.choice(["GET", "POST", "PUT", "HEAD", "TRACE"])
            head = f"{method} {draw.choice(paths)} HTTP/1.1".encode()
            tail = [b"Host: x", b"Content-Length: 0", b"Connection: close", b"", b""]
            request = b"\r\n".join([head, *lines, *tail])
            statuses[exchange(gateway.url, request, method=method).status] += 1
        good = gateway.client.get("/models", headers={"Host": "x", **BEARER})
        log = "".join(gateway.log)
    assert set(statuses) <= {400, 401, 429}, statuses
    assert statuses[401] > 100
    assert statuses[429] > 100
    assert good.status_code in {200, 429}
    assert "Traceback" not in log


def test_a_client_is_its_key_s_name_for_fair_shares(fake, keys_file, photo, monkeypatch):
    seen = []
    with running_gateway(fake.url, api_keys_file=keys_file) as gateway:
        classifier = gateway.services.classifier
        classify = type(classifier).classify

        async def spy(self, *arguments, **options):
            seen.append(options["client"])
            return await classify(self, *arguments, **options)

        monkeypatch.setattr(type(classifier), "classify", spy)
        gateway.client.post("/classify", files={"file": photo}, headers=BEARER)
        gateway.client.post(
            "/classify/batch", files=[("files", photo)] * 2, headers={"X-API-Key": OTHER}
        )
    assert seen == ["alice", "bob", "bob"]


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
