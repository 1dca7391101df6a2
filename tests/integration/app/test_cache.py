"""Kept answers through a real gateway: never of another version than a computed one would be."""

from __future__ import annotations

import time

import pytest

from tests.support.fake_model_server import FakeVersion
from tests.support.gateway import running_gateway

CACHE = {"cache_bytes": 1_000_000}


def labelled(number):
    return FakeVersion(labels=[f"v{number}-{index}" for index in range(4)])


@pytest.fixture
def versions(fake):
    fake.models["demo"] = {1: labelled(1), 2: labelled(2)}
    fake.version_labels["demo", "stable"] = 1
    return fake


@pytest.mark.usefixtures("versions")
def test_a_kept_answer_is_the_same_and_says_so(model_server_url, photo):
    with running_gateway(model_server_url, **CACHE) as gateway:
        asked_at = time.monotonic()
        first, kept = gateway.classify(photo), gateway.classify(photo, top_k=1)
        most = time.monotonic() - asked_at
        metrics = gateway.client.get("/metrics").text
    assert "Cache-Status" not in first.headers
    assert kept.headers["Cache-Status"] == "sightserve; hit"
    assert 0 <= int(kept.headers["Age"]) <= most
    assert kept.json()["predictions"] == first.json()["predictions"][:1]
    assert kept.json()["image"] == first.json()["image"]
    assert kept.json()["model"] == {"name": "demo", "version": 2}
    timing = kept.json()["timing_ms"]
    assert (timing["decode"], timing["queue"], timing["inference"]) == (0.0, 0.0, 0.0)
    assert timing["total"] > 0
    assert 'gateway_cache_total{result="hit"} 1.0' in metrics
    assert 'gateway_images_total{model="demo",version="2"} 2.0' in metrics
    assert 'stage_seconds_count{model="demo",stage="total",version="2"} 1.0' in metrics


def test_swaps_rollbacks_and_moved_labels_are_followed_at_once(versions, model_server_url, photo):
    def label(**params):
        body = gateway.classify(photo, **params).json()
        best = body["predictions"][0]["label"]
        assert best.startswith((f"v{body['model']['version']}-", "new-"))
        return best.partition("-")[0]

    with running_gateway(model_server_url, **CACHE) as gateway:
        assert [label(), label()] == ["v2", "v2"]
        versions.models["demo"][3] = labelled(3)
        assert [label(), label()] == ["v3", "v3"]
        del versions.models["demo"][3]
        assert [label(), label()] == ["v2", "v2"]
        versions.models["demo"][3] = FakeVersion(labels=[f"new-{index}" for index in range(4)])
        assert [label(), label()] == ["new", "new"]
        assert [label(version_label="stable"), label(version_label="stable")] == ["v1", "v1"]
        versions.version_labels["demo", "stable"] = 2
        assert label(version_label="stable") == "v2"


def test_a_removed_version_is_not_answered_from_memory(versions, model_server_url, photo):
    with running_gateway(model_server_url, **CACHE) as gateway:
        assert gateway.classify(photo, version=1).status_code == 200
        versions.models["demo"][1].state = "END"
        assert gateway.classify(photo, version=1).status_code == 404


def test_nothing_is_answered_from_memory_while_the_model_server_is_down(versions, photo):
    with running_gateway(versions.url, **CACHE) as gateway:
        gateway.classify(photo)
        versions.stop()
        assert gateway.classify(photo).status_code == 503


def test_the_files_of_a_batch_request_are_looked_up_each(versions, photo):
    with running_gateway(versions.url, **CACHE) as gateway:
        gateway.classify(photo)
        files = [("files", ("a", photo)), ("files", ("b", b"no image"))]
        results = gateway.client.post("/classify/batch", files=files).json()["results"]
    assert results[0]["predictions"]
    assert results[1]["problem"]["status"] == 422
    assert versions.calls["predict"] == 1


def test_nothing_is_kept_by_default(versions, photo):
    with running_gateway(versions.url) as gateway:
        assert [gateway.classify(photo).status_code for _ in range(2)] == [200, 200]
    assert versions.calls["predict"] == 2
