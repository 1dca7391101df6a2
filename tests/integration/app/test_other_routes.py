"""Health, models, metrics, stats, the page and the docs."""

from __future__ import annotations

import base64
import hashlib
import re
import time

import grpc

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
    assert (total["model"], total["version"], total["count"]) == ("demo", "1", 3)
    assert 0 < total["p50"] <= total["p95"] <= total["p99"] <= total["max"]


def test_the_pages_run_exactly_their_own_scripts(gateway):
    for path in ("/", "/docs"):
        page = gateway.client.get(path)
        assert page.status_code == 200
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        for script in re.findall(r"<script[^>]*>(.*?)</script>", page.text, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
        assert not re.search(r"""(src|href)=["']https?://""", page.text)


def test_a_problems_type_leads_to_its_row(gateway):
    kind = gateway.classify(b"nonsense").json()["type"]
    answer = gateway.client.get(kind, follow_redirects=True)
    assert answer.status_code == 200
    assert f'id="{kind.rsplit("/", 1)[-1]}"' in answer.text


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
