"""Health, models, metrics, stats, the page and the docs."""

from __future__ import annotations

import base64
import hashlib
import re
import time
import tomllib
from pathlib import Path

import grpc
import pytest

from app.classify import readiness
from tests.support.fake_model_server import FakeVersion
from tests.support.gateway import running_gateway, wait_until


def test_models_lists_versions_and_one_model_has_its_cards(fake, gateway):
    fake.models["demo"][2] = FakeVersion(state="LOADING")
    listed = gateway.client.get("/models").json()["models"]
    assert [(each["name"], each["is_default"]) for each in listed] == [("demo", True)]
    assert [(each["version"], each["state"]) for each in listed[0]["versions"]] == [
        (2, "LOADING"),
        (1, "AVAILABLE"),
    ]
    loading, served = gateway.client.get("/models/demo").json()["versions"]
    assert "card" not in loading
    assert served["labels"] == ["label-0", "label-1", "label-2", "label-3"]
    assert served["card"]["image"]["height"] == 8


def test_models_lists_what_is_configured_even_if_it_is_missing(fake):
    with running_gateway(fake.url, required_models=("gone",)) as gateway:
        assert (
            gateway.client.get("/models").json()["models"][1]["error"] == "model gone is not served"
        )
        problem = gateway.client.get("/readyz")
        assert (problem.status_code, problem.headers["Retry-After"]) == (503, "1")
        assert problem.json()["detail"] == "gone: model gone is not served"


def test_ready_means_that_a_prediction_succeeds_not_that_the_status_says_so(fake, gateway):
    assert gateway.client.get("/readyz").json() == {
        "status": "ready",
        "models": [{"name": "demo", "version": 1}],
    }
    fake.models["demo"][1].fault = (grpc.StatusCode.INTERNAL, "Could not find variable dense")
    wait_until(lambda: gateway.client.get("/readyz").status_code == 503, "not ready", seconds=20)
    summary = gateway.client.get("/healthz")
    assert summary.status_code == 200
    assert summary.json()["status"] == "not ready"
    assert gateway.client.get("/livez").status_code == 200
    fake.models["demo"][1].fault = None
    wait_until(lambda: gateway.client.get("/readyz").status_code == 200, "ready", seconds=20)


def test_readiness_is_cheap_to_ask(fake, gateway):
    gateway.client.get("/readyz")
    started_at, before = time.monotonic(), fake.calls["predict"]
    for _ in range(50):
        gateway.client.get("/readyz")
    assert fake.calls["predict"] - before <= 1 + (time.monotonic() - started_at)  # one a second


def test_traffic_proves_that_a_model_is_ready_unless_its_answers_are_no_use(
    fake, gateway, photo, monkeypatch
):
    monkeypatch.setattr(readiness, "_KEEP_SECONDS", 60.0)
    assert gateway.classify(photo).status_code == 200
    before = fake.calls["predict"]
    assert gateway.client.get("/readyz").status_code == 200
    assert fake.calls["predict"] == before
    fake.models["demo"][1].probability = float("nan")
    monkeypatch.setattr(readiness, "_KEEP_SECONDS", 0.0)  # what was proven holds no longer
    assert gateway.classify(photo).status_code == 502
    assert gateway.client.get("/readyz").status_code == 503


def test_metrics_name_stages_versions_and_problems(gateway, photo):
    gateway.classify(photo)
    gateway.classify(b"nonsense")
    gateway.client.request("BREW", "/nowhere/at/all")
    text = gateway.client.get("/metrics").text
    for line in (
        'gateway_stage_seconds_count{model="demo",stage="decode",version="1"} 1.0',
        'gateway_stage_seconds_count{model="demo",stage="total",version="1"} 1.0',
        'gateway_images_total{model="demo",version="1"} 1.0',
        'gateway_requests_total{method="POST",route="/classify",status="200"} 1.0',
        'gateway_requests_total{method="POST",route="/classify",status="422"} 1.0',
        'gateway_problems_total{type="invalid-image"} 1.0',
        "gateway_batch_size_count 1.0",
        "gateway_batches_in_flight 0.0",
        "gateway_queued_images 0.0",
        "gateway_images_in_progress 0.0",
        "gateway_concurrency_limit 512.0",
        "gateway_saturation 0.0",
    ):
        assert line in text
    assert "nowhere" not in text
    assert "BREW" not in text


def test_stats_has_quantiles_per_stage_and_version(gateway, photo):
    for _ in range(3):
        gateway.classify(photo)
    stages = gateway.client.get("/stats").json()["stages"]
    assert {each["stage"] for each in stages} == {"decode", "queue", "inference", "total"}
    total = next(each for each in stages if each["stage"] == "total")
    assert (total["model"], total["version"], total["count"]) == ("demo", 1, 3)
    assert 0 < total["mean"] <= total["max"]
    assert 0 < total["p50"] <= total["p95"] <= total["p99"] <= total["max"]


def test_stats_counts_images_and_keeps_the_last_problems(fake, photo):
    with running_gateway(fake.url) as gateway:
        gateway.classify(photo)
        files = [("files", ("a", photo)), ("files", ("b", b"junk"))]
        gateway.client.post("/classify/batch", files=files)
        with fake.held():  # the body is there in time, the answer is not
            late = {"X-Request-Timeout-Ms": "1000"}
            gateway.client.post("/classify", files={"file": photo}, headers=late)
        refused = gateway.client.post("/classify?model=gone", files={"file": photo})
        gateway.client.get("/no/such/path")
        assert gateway.client.get("/stats?topk=1").status_code == 422
        stats = gateway.client.get("/stats").json()
        assert (stats["answered"], stats["refused"], stats["failed"]) == (2, 1, 2)
        assert 0 < stats["requests_per_second"] <= 2
        assert stats["uptime_seconds"] > 0
        assert (stats["window_seconds"], stats["images_in_progress"]) == (300.0, 0)
        kinds = [each["type"].rsplit("/", 1)[1] for each in stats["last_problems"]]
        assert kinds == [
            "invalid-parameter", "not-found", "model-not-found", "deadline-exceeded",
            "invalid-image",
        ]  # fmt: skip
        assert stats["last_problems"][2] | {"at": ""} == {
            "at": "",
            "status": 404,
            "type": "/problems/model-not-found",
            "detail": refused.json()["detail"],
            "request_id": refused.headers["X-Request-Id"],
        }
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", stats["last_problems"][0]["at"])
        for _ in range(20):
            gateway.classify(b"junk")
        assert len(gateway.client.get("/stats").json()["last_problems"]) == 10


def test_the_pages_run_exactly_their_own_scripts(gateway):
    for path in ("/", "/docs", "/problems/", "/problems/invalid-image"):
        page = gateway.client.get(path)
        assert page.status_code == 200
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        for script in re.findall(r"<script[^>]*>(.*?)</script>", page.text, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            assert not script or f"'sha256-{digest}'" in policy
        assert not re.search(r"""(src|href)=["']https?://""", page.text)


def test_a_problems_type_leads_to_its_page(gateway):
    answer = gateway.client.get(gateway.classify(b"nonsense").json()["type"])
    assert answer.status_code == 200
    assert "<h1>The image cannot be decoded</h1>" in answer.text
    assert "truncated or damaged" in answer.text
    assert 'id="invalid-image"' in gateway.client.get("/problems/").text
    assert gateway.client.get("/problems/no-such").status_code == 404


def test_swagger_ui_comes_from_the_gateway_and_is_kept_by_browsers(gateway):
    page = gateway.client.get("/docs")
    document = gateway.client.get("/openapi.json").json()
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    assert document["info"]["version"] == project["version"]
    assert f"<title>Sightserve {project['version']} API</title>" in page.text
    for path in re.findall(r'(?:src|href)="(/docs/[^"]+)"', page.text):
        answer = gateway.client.get(path)
        assert (answer.status_code, len(answer.content)) == (
            200,
            int(answer.headers["Content-Length"]),
        )
        assert "Cache-Control" in answer.headers
    bundle = gateway.client.get("/docs/swagger-ui-bundle.js")
    kept = {"If-None-Match": bundle.headers["ETag"]}
    again = gateway.client.get("/docs/swagger-ui-bundle.js", headers=kept)
    assert (again.status_code, again.content) == (304, b"")
    for name in ("redoc.standalone.js", "favicon.png", "..%2fcore.py", "%2e%2e/core.py"):
        assert gateway.client.get(f"/docs/{name}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/metrics", "/stats", "/models",
        "/models/demo", "/livez", "/readyz", "/healthz", "/problems/invalid-image",
        "/models/gone", "/no-such",
    ],
)  # fmt: skip
def test_head_is_get_without_the_body(gateway, path):
    got, head = gateway.client.get(path), gateway.client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    changing = {"x-request-id", "date", "content-length"}
    assert {name for name in head.headers if name not in changing} == {
        name for name in got.headers if name not in changing
    }
    if path not in {"/metrics", "/stats"}:  # which have grown in between
        assert head.headers["Content-Length"] == got.headers["Content-Length"]
    refused = gateway.client.head("/classify")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("/classify?topk=1", "topk: is no parameter of this route; did you mean top_k?"),
        ("/classify/batch?top-k=1", "top-k: is no parameter of this route; did you mean top_k?"),
        ("/classify?top_k=1&zebra", "zebra: is no parameter of this route; it has min_probability"),
        ("/classify?%00=", "\x00: is no parameter of this route; it has min_probability"),
        ("/models?verbose=1", "verbose: is no parameter: this route has none"),
        ("/models/demo?v", "v: is no parameter: this route has none"),
        ("/livez?a=1", "a: is no parameter: this route has none"),
        ("/readyz?verbose", "verbose: is no parameter: this route has none"),
        ("/healthz?a=1", "a: is no parameter: this route has none"),
        ("/metrics?a=1", "a: is no parameter: this route has none"),
        ("/stats?a=1", "a: is no parameter: this route has none"),
    ],
)
def test_an_unknown_query_parameter_is_refused_with_the_one_that_was_meant(gateway, url, detail):
    method = "POST" if "classify" in url else "GET"
    answer = gateway.client.request(method, url, files={"file": b"x"} if method == "POST" else None)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/invalid-parameter")
    assert problem["detail"].startswith(detail)
    assert problem["parameter"] == detail.split(":")[0]


def test_a_long_unknown_parameter_is_repeated_in_part(gateway):
    problem = gateway.client.get("/models?" + "x" * 5000).json()
    assert problem["parameter"] == "x" * 64


def test_metrics_name_route_templates_not_paths(gateway):
    gateway.client.get("/models/demo")
    gateway.client.get("/models/no-such-model")
    gateway.client.get("/classify")
    text = gateway.client.get("/metrics").text
    for line in (
        'gateway_requests_total{method="GET",route="/models/{name}",status="200"} 1.0',
        'gateway_requests_total{method="GET",route="/models/{name}",status="404"} 1.0',
    ):
        assert line in text
    assert "no-such-model" not in text


def test_a_defect_is_a_bare_500_and_the_next_request_works(gateway, photo, capsys):
    classify = gateway.services.classifier.classify

    async def broken(*_, **__):
        raise RuntimeError("password=1")

    gateway.services.classifier.classify = broken
    response = gateway.classify(photo)
    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json() == {
        "type": "/problems/internal-error",
        "title": "The gateway failed",
        "status": 500,
        "request_id": response.headers["X-Request-Id"],
    }
    gateway.services.classifier.classify = classify
    assert gateway.classify(photo).status_code == 200
    assert capsys.readouterr().out.count("RuntimeError: password=1") == 1
