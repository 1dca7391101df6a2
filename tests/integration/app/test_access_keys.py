"""API keys over real sockets: what they open, what they never do, and how they change."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections import Counter
from hashlib import sha256

import httpx
import pytest

from tests.support.api_keys import BEARER, KEY, OTHER, hash_line, problem
from tests.support.gateway import gateway_process, running_gateway
from tests.support.processes import wait_until
from tests.support.raw_http import exchange, request_bytes

PROTECTED = ("/models", "/models/demo", "/metrics", "/stats", "/healthz", "/no-such", "/classify/")
OPEN = ("/", "/docs", "/openapi.json", "/livez", "/readyz", "/problems/unauthorized")


@pytest.fixture
def guarded(fake, keys_file):
    with running_gateway(fake.url, api_keys_file=keys_file) as running:
        yield running


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
        assert bad["client"] == "127.0.0.1"
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
