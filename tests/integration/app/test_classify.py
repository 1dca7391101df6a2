"""POST /classify and /classify/batch on good input, over both protocols."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pydantic import TypeAdapter

from app.http.schemas import BatchAnswer, ClassifyAnswer
from tests.support.fake_model_server import FakeVersion
from tests.support.gateway import running_gateway
from tests.support.pictures import encoded


@pytest.fixture
def any_gateway(model_server_url):
    with running_gateway(model_server_url) as running:
        yield running


def test_a_form_and_a_raw_body_give_the_same_answer(any_gateway, photo):
    form = any_gateway.classify(photo)
    raw = any_gateway.client.post(
        "/classify", content=photo, headers={"Content-Type": "image/jpeg"}
    )
    for response in (form, raw):
        assert response.status_code == 200, response.text
        body = response.json()
        assert body["model"] == {"name": "demo", "version": 1}
        assert body["image"] == {"format": "JPEG", "width": 80, "height": 60}
        assert body["predictions"] == [
            {"class_index": 3, "label": "label-3", "id": "id3", "probability": 0.5},
            {"class_index": 0, "label": "label-0", "id": "id0", "probability": 0.25},
            {"class_index": 1, "label": "label-1", "id": "id1", "probability": 0.125},
        ]


def documented(schema, body):
    """The body as the schema reads it and writes it again."""
    adapter = TypeAdapter(schema)
    return adapter.dump_python(adapter.validate_python(body), exclude_unset=True)


def test_the_answer_is_what_the_schema_says(gateway, photo):
    body = gateway.classify(photo).json()
    assert documented(ClassifyAnswer, body) == body
    assert list(body) == ["request_id", "model", "predictions", "image", "timing_ms"]
    files = [("files", ("a.jpg", photo)), ("files", ("b.jpg", b"nonsense"))]
    batch = gateway.client.post("/classify/batch", files=files).json()
    assert documented(BatchAnswer, batch) == batch


def test_top_k_and_min_probability_shorten_the_list(any_gateway, photo):
    assert len(any_gateway.classify(photo, top_k=1).json()["predictions"]) == 1
    assert len(any_gateway.classify(photo, top_k=3).json()["predictions"]) == 3
    assert len(any_gateway.classify(photo, min_probability=0.2).json()["predictions"]) == 2
    assert any_gateway.classify(photo, min_probability=1).json()["predictions"] == []


def test_a_batch_answers_each_file_in_order(any_gateway, photo):
    dark = encoded(np.zeros((9, 9, 3), np.uint8), "PNG")
    files = [("a.jpg", photo), ("b.txt", b"hello"), ("c.png", dark), ("d.jpg", b"")]
    response = any_gateway.client.post(
        "/classify/batch", files=[("files", file) for file in files], params={"top_k": 1}
    )
    assert response.status_code == 200
    a, b, c, d = response.json()["results"]
    assert [each["file"] for each in (a, b, c, d)] == ["a.jpg", "b.txt", "c.png", "d.jpg"]
    assert a["predictions"][0]["label"] == "label-3"
    assert b["problem"]["type"] == "/problems/invalid-image"
    assert c["predictions"][0]["label"] == "label-0"
    assert d["problem"]["status"] == 400


def test_the_request_id_is_kept_if_it_is_harmless(gateway, photo):
    ours = gateway.client.post(
        "/classify", files={"file": photo}, headers={"X-Request-Id": "abc-1.2"}
    )
    assert ours.headers["X-Request-Id"] == ours.json()["request_id"] == "abc-1.2"
    odd = gateway.client.get("/nowhere", headers={"X-Request-Id": 'x" y'})
    assert odd.headers["X-Request-Id"] == odd.json()["request_id"] != 'x" y'


def test_server_timing_repeats_the_stages(gateway, photo):
    response = gateway.classify(photo)
    stages = [part.split(";")[0] for part in response.headers["Server-Timing"].split(", ")]
    assert stages == list(response.json()["timing_ms"]) == ["decode", "queue", "inference", "total"]


def test_versions_and_labels_choose_who_answers(fake, any_gateway, photo):
    fake.models["demo"][2] = FakeVersion(labels=["new-0", "new-1"], k=2)
    fake.version_labels["demo", "stable"] = 1
    fake.version_labels["demo", "canary"] = 2
    for params, expected in [
        ({"version": 1}, (1, "label-3")),
        ({"version": 2}, (2, "new-1")),
        ({"version_label": "stable"}, (1, "label-3")),
        ({"version_label": "canary"}, (2, "new-1")),
        ({}, (2, "new-1")),
    ]:
        body = any_gateway.classify(photo, **params).json()
        assert (body["model"]["version"], body["predictions"][0]["label"]) == expected


def test_another_model_can_be_named(fake, any_gateway, photo):
    fake.models["other"] = {7: FakeVersion(labels=["x", "y", "z"])}
    assert any_gateway.classify(photo, model="other").json()["model"] == {
        "name": "other",
        "version": 7,
    }


def test_parallel_requests_share_calls_and_each_gets_its_own_answer(fake, model_server_url):
    fake.models["demo"][1].delay_seconds = 0.05
    pictures = {
        index: encoded(np.full((8, 8, 3), 32 + 64 * index, np.uint8), "PNG") for index in range(4)
    }
    with (
        running_gateway(
            model_server_url,
            max_in_flight_batches=1,
            max_batch_size=8,
            max_batch_seconds=10,
            target_queue_seconds=9,
        ) as gateway,
        ThreadPoolExecutor(24) as threads,
    ):
        wanted = [number % 4 for number in range(48)]
        answers = threads.map(lambda index: gateway.classify(pictures[index]).json(), wanted)
        assert [answer["predictions"][0]["class_index"] for answer in answers] == wanted
    assert 1 < max(fake.batch_sizes) <= 8
    assert sum(fake.batch_sizes) == 48


def test_the_deadline_reaches_the_model_server(fake, gateway, photo):
    gateway.client.post(
        "/classify", files={"file": photo}, headers={"X-Request-Timeout-Ms": "40000"}
    )
    assert 20 < fake.deadlines[-1] <= 40  # the default is 10


def test_traffic_needs_no_lookups(fake, gateway, photo):
    gateway.classify(photo)
    before = dict(fake.calls)
    for _ in range(20):
        gateway.classify(photo)
    assert fake.calls == before | {"predict": before["predict"] + 20}
