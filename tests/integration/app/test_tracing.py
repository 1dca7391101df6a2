"""Traces from a client's header through the gateway to the model server and a collector."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.collector import attributes, running_collector
from tests.support.fake_model_server import FakeVersion
from tests.support.gateway import gateway_process, running_gateway
from tests.support.processes import wait_until

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"


@pytest.fixture
def collector(monkeypatch):
    with running_collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield running


def post(gateway, photo, **headers):
    return gateway.client.post("/classify", files={"file": ("photo", photo)}, headers=headers)


def test_a_photo_is_one_trace_from_the_client_to_the_model_server(
    fake, model_server_url, collector, photo
):
    with running_gateway(model_server_url, otel=True) as gateway:
        response = post(gateway, photo, traceparent=TRACEPARENT, tracestate="vendor=1")
        assert response.status_code == 200
    (request,) = collector.named("POST /classify")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE_ID, PARENT_ID)
    assert request.trace_state == "vendor=1"
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/classify",
        "http.response.status_code": 200,
        "sightserve.request_id": response.json()["request_id"],
        "sightserve.model": "demo",
        "sightserve.version": 1,
        "sightserve.batch_size": 1,
        "sightserve.image_bytes": len(photo),
    }
    parts = [span for span in collector.spans if span.parent_span_id == request.span_id]
    assert sorted(span.name for span in parts) == [
        "decode", "inference", "predict", "queue", "read",
    ]  # fmt: skip
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in parts)
    (predict,) = collector.named("predict")
    assert attributes(predict) == {
        "sightserve.model": "demo", "sightserve.version": 1, "sightserve.batch_size": 1,
    }  # fmt: skip
    assert fake.traceparents == [f"00-{TRACE_ID}-{predict.span_id.hex()}-01"]
    (inference,) = collector.named("inference")
    assert [link.span_id for link in inference.links] == [predict.span_id]
    assert collector.resources[0]["service.name"] == "sightserve-gateway"


def test_a_call_for_several_requests_links_to_each_of_them(fake, collector, photo):
    batches = {"max_in_flight_batches": 1, "max_batch_seconds": 10}  # however long one is held
    with running_gateway(fake.url, otel=True, **batches) as gateway:
        with ThreadPoolExecutor(5) as pool, fake.held():
            futures = [pool.submit(post, gateway, photo) for _ in range(5)]
            wait_until(lambda: gateway.services.admission.images == 5, "all five wait")
        assert [future.result().status_code for future in futures] == [200] * 5
    requests = {span.span_id: span for span in collector.named("POST /classify")}
    calls = collector.named("predict")
    assert len({span.trace_id for span in requests.values()}) == 5
    members = [{call.parent_span_id, *(link.span_id for link in call.links)} for call in calls]
    assert sorted(member for each in members for member in each) == sorted(requests)
    sizes = [attributes(call)["sightserve.batch_size"] for call in calls]
    assert sizes == [len(each) for each in members]
    assert max(sizes) > 1


@pytest.mark.parametrize(
    "traceparent",
    ["", "nonsense", f"00-{'0' * 32}-{PARENT_ID}-01", f"ff-{TRACE_ID}-{PARENT_ID}-01",
     f"00-{TRACE_ID}-{PARENT_ID}-01-more", "00-" + "x" * 5000, f"{TRACEPARENT},{TRACEPARENT}"],
)  # fmt: skip
def test_a_malformed_trace_context_is_ignored(fake, collector, photo, traceparent):
    with running_gateway(fake.url, otel=True) as gateway:
        assert post(gateway, photo, traceparent=traceparent).status_code == 200
    (request,) = collector.named("POST /classify")
    assert request.trace_id.hex() != TRACE_ID
    assert request.parent_span_id == b""


def test_a_trace_that_is_not_sampled_is_passed_on_as_such(fake, collector, photo):
    with running_gateway(fake.url, otel=True) as gateway:
        post(gateway, photo, traceparent=TRACEPARENT[:-1] + "0")
    assert collector.spans == []
    assert re.fullmatch(f"00-{TRACE_ID}-[0-9a-f]{{16}}-00", fake.traceparents[0])


def test_problems_are_marked_and_probes_are_not_traced(fake, collector):
    fake.models["demo"][1].probability = float("nan")
    with running_gateway(fake.url, otel=True) as gateway:
        gateway.client.get("/livez")
        assert gateway.classify(b"no image").status_code == 422
        assert gateway.client.get("/no-such-path").status_code == 404
    by_status = {attributes(span)["http.response.status_code"]: span
                 for span in collector.spans if span.kind == 2}  # fmt: skip
    assert set(by_status) == {422, 404}
    assert attributes(by_status[422])["error.type"] == "invalid-image"
    assert by_status[422].status.code == 0  # the client's mistake is no failure of the server
    (decode,) = collector.named("decode")
    assert attributes(decode) == {"error.type": "InvalidImageError"}


def test_a_shadow_stays_out_of_the_trace(fake, collector, photo):
    fake.models["demo"] = {1: FakeVersion(), 2: FakeVersion()}
    fake.version_labels["demo", "canary"] = 1
    with running_gateway(fake.url, otel=True, shadow="canary:100%") as gateway:
        post(gateway, photo, traceparent=TRACEPARENT)
        wait_until(lambda: fake.calls["predict"] == 2, "it is mirrored")
    assert len(collector.named("predict")) == 1


def test_the_process_logs_the_trace_and_names_itself_as_it_is_told(fake, collector, photo):
    environment = {"GATEWAY_OTEL": "true", "OTEL_SERVICE_NAME": "ours"}
    with gateway_process(fake.url, **environment) as gateway:
        response = gateway.client.post(
            "/classify", files={"file": ("photo", photo)}, headers={"traceparent": TRACEPARENT}
        )
        assert response.status_code == 200
        assert gateway.terminate() == 0
        lines = [json.loads(line) for line in gateway.log if '"/classify"' in line]
    assert [line["trace_id"] for line in lines] == [TRACE_ID]
    assert len(collector.named("POST /classify")) == 1  # sent before the process ended
    assert collector.resources[0]["service.name"] == "ours"


def test_a_collector_that_is_down_costs_no_request_and_no_clean_end(fake, photo):
    environment = {"GATEWAY_OTEL": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with gateway_process(fake.url, **environment) as gateway:
        for _ in range(3):
            assert gateway.client.post("/classify", files={"file": photo}).status_code == 200
        started_at = time.monotonic()
        assert gateway.terminate() == 0
        assert time.monotonic() - started_at < 15


def test_without_the_setting_nothing_is_sent(fake, collector, photo):
    with running_gateway(fake.url) as gateway:
        post(gateway, photo, traceparent=TRACEPARENT)
    assert (collector.spans, fake.traceparents) == ([], [])
