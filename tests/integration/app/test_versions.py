"""Traffic between versions of a model: split by weight, mirrored to a shadow."""

from __future__ import annotations

import time
from collections import Counter

import grpc
import pytest

from app.model_server.replica import Replica
from tests.support.fake_model_server import FakeVersion
from tests.support.gateway import running_gateway
from tests.support.processes import wait_until

SPLIT = "stable:50%,canary:50%"


@pytest.fixture
def two(fake):
    """Version 1 is labelled stable, version 2 canary; without a label 2 is served."""
    fake.models["demo"] = {1: FakeVersion(), 2: FakeVersion()}
    fake.version_labels.update({("demo", "stable"): 1, ("demo", "canary"): 2})
    return fake


def metrics(gateway, name):
    """Values of a metric by its labels, as in {'model="demo",label="canary"': 3.0}."""
    lines = gateway.client.get("/metrics").text.splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith(name + "{"))
    return {labels[len(name) + 1 : -1]: float(value) for labels, _, value in found}


def ask(gateway, photo, key=None, **params):
    headers = {} if key is None else {"X-Sticky-Key": key}
    files = {"file": ("photo", photo)}
    return gateway.client.post("/classify", files=files, headers=headers, params=params)


def version(response):
    assert response.status_code == 200, response.text
    return response.json()["model"]["version"]


@pytest.mark.usefixtures("two")
def test_requests_are_split_and_a_key_sticks(model_server_url, photo):
    with running_gateway(model_server_url, split=SPLIT) as gateway:
        by_key = [version(ask(gateway, photo, f"user-{number}")) for number in range(20)]
        again = [version(ask(gateway, photo, f"user-{number}")) for number in range(20)]
        anybody = Counter(version(ask(gateway, photo)) for _ in range(20))
        assigned = metrics(gateway, "gateway_split_total")
    assert by_key == again
    assert set(by_key) == {1, 2} == set(anybody)
    assert sum(assigned.values()) == 60
    assert set(assigned) == {'label="stable",model="demo"', 'label="canary",model="demo"'}


def test_a_request_that_names_a_version_is_not_split(two, photo):
    with running_gateway(two.url, split="stable:0%,canary:100%") as gateway:
        assert version(ask(gateway, photo)) == 2
        assert version(ask(gateway, photo, version=1)) == 1
        assert version(ask(gateway, photo, version_label="stable")) == 1


def test_a_batch_request_with_a_key_is_answered_by_one_version(two, photo):
    with running_gateway(two.url, split=SPLIT) as gateway:
        for key in ("a", "b", "c"):
            response = gateway.client.post(
                "/classify/batch",
                files=[("files", ("photo", photo))] * 8,
                headers={"X-Sticky-Key": key},
            )
            assert len({each["model"]["version"] for each in response.json()["results"]}) == 1


def test_a_label_that_nobody_has_fails_no_request(two, model_server_url, photo):
    del two.version_labels["demo", "canary"]
    with running_gateway(model_server_url, split="stable:1%,canary:99%") as gateway:
        assert {version(ask(gateway, photo)) for _ in range(5)} == {1}
        fallbacks = metrics(gateway, "gateway_split_fallbacks_total")
        del two.version_labels["demo", "stable"]
        wait_until(lambda: version(ask(gateway, photo)) == 2, "the served version answers")
    assert fallbacks['label="canary",model="demo"'] >= 3


def test_a_key_that_is_too_long_is_refused(two, photo):
    with running_gateway(two.url, split=SPLIT) as gateway:
        response = ask(gateway, photo, "x" * 257)
    assert response.status_code == 422
    assert response.json()["parameter"] == "x-sticky-key"


def mirrored(gateway, fate):
    return metrics(gateway, "gateway_shadow_total").get(
        f'fate="{fate}",label="canary",model="demo"', 0.0
    )


@pytest.mark.parametrize("side", [8, 12], ids=["same input", "other input"])
@pytest.mark.parametrize("order", [1, -1], ids=["agrees", "disagrees"])
def test_a_shadow_is_compared_and_never_shown(two, model_server_url, photo, side, order):
    labels = two.models["demo"][1].labels[::order]
    two.models["demo"][2] = FakeVersion(labels=labels, side=side, delay_seconds=0.02)
    with running_gateway(model_server_url, shadow="canary:100%") as gateway:
        for _ in range(3):
            assert version(ask(gateway, photo, version=1)) == 1
            seen = mirrored(gateway, "compared")
            wait_until(lambda seen=seen: mirrored(gateway, "compared") > seen, "it is compared")
        agreement = metrics(gateway, "gateway_shadow_agreement_total")
        seconds = metrics(gateway, "gateway_shadow_seconds_count")
        images = metrics(gateway, "gateway_images_total")
    is_agreed = "true" if order == 1 else "false"
    labels = f'is_agreed="{is_agreed}",mirrored_version="2",model="demo",version="1"'
    assert agreement == {labels: 3.0}
    assert set(seconds.values()) == {3.0}
    assert images == {'model="demo",version="1"': 3.0}


def test_the_mirrored_version_is_not_compared_with_itself(two, photo):
    with running_gateway(two.url, shadow="canary:100%") as gateway:
        assert version(ask(gateway, photo)) == 2
        wait_until(lambda: mirrored(gateway, "same_version") == 1, "it is skipped")
    assert two.calls["predict"] == 1


def test_a_shadow_that_hangs_slows_nobody_and_is_dropped(two, photo):
    two.models["demo"][2].delay_seconds = 5.0
    with running_gateway(two.url, shadow="canary:100%", default_timeout_seconds=4.0) as gateway:
        version(ask(gateway, photo, version=1))
        started_at = time.monotonic()
        for _ in range(30):
            version(ask(gateway, photo, version=1))
        assert time.monotonic() - started_at < 30  # one after the other: 150 s
        wait_until(lambda: mirrored(gateway, "dropped") > 0, "some are dropped")
        wait_until(lambda: mirrored(gateway, "failed") > 0, "some are late")
        version(ask(gateway, photo, version=1))


def test_what_a_shadow_misses_is_held_against_no_address(two, photo, monkeypatch):
    predict, calls = Replica.predict, []

    async def noting(self, spec, *arguments, is_telling, **others):
        if spec.signature_name == "top_k":  # not the model card
            calls.append((spec.version_label, is_telling))
        return await predict(self, spec, *arguments, is_telling=is_telling, **others)

    monkeypatch.setattr(Replica, "predict", noting)
    with running_gateway(two.url, shadow="canary:100%") as gateway:
        version(ask(gateway, photo, version=1))
        wait_until(lambda: mirrored(gateway, "compared") == 1, "it is compared")
        assert version(ask(gateway, photo, version_label="canary")) == 2
    assert calls == [(None, True), ("canary", False), ("canary", True)]


@pytest.mark.parametrize("fault", ["label", "version", "nonsense"])
def test_a_shadow_that_fails_fails_no_request_and_is_logged_once(two, photo, capfd, fault):
    if fault == "label":
        two.version_labels.clear()
    elif fault == "version":
        two.models["demo"][2].fault = (grpc.StatusCode.INTERNAL, "broken")
    else:
        two.models["demo"][2].probability = float("nan")
    with running_gateway(two.url, shadow="canary:100%") as gateway:
        for number in range(3):
            assert version(ask(gateway, photo, version=1)) == 1
            wait_until(lambda n=number: mirrored(gateway, "failed") > n, "it fails")
    assert capfd.readouterr().out.count("shadow failed") == 1


def test_shutting_down_does_not_wait_for_a_shadow(two, photo):
    two.models["demo"][2].delay_seconds = 60.0
    with running_gateway(two.url, shadow="canary:100%", default_timeout_seconds=60) as gateway:
        version(ask(gateway, photo, version=1))
        wait_until(lambda: two.calls["predict"] == 2, "the shadow is asked")
        started_at = time.monotonic()
    assert time.monotonic() - started_at < 10


def ready(gateway):
    return gateway.client.get("/readyz").status_code


def test_a_broken_canary_does_not_take_the_gateway_out(two, photo):
    """Without a split the highest version is served, and has to answer."""
    two.models["demo"][2].fault = (grpc.StatusCode.INTERNAL, "broken")
    with running_gateway(two.url) as gateway:
        assert ready(gateway) == 503
    with running_gateway(two.url, split="stable:90%,canary:10%") as gateway:
        assert ready(gateway) == 200  # by an image of the gateway's own
        assert version(ask(gateway, photo, version_label="stable")) == 1
    two.version_labels.clear()
    two.models["demo"][2].fault = None
    with running_gateway(two.url, split="stable:90%,canary:10%") as gateway:
        assert ready(gateway) == 200


def test_split_traffic_proves_that_the_model_answers(two, photo):
    with running_gateway(two.url, split="stable:100%") as gateway:
        version(ask(gateway, photo))
        before = two.calls["predict"]
        assert ready(gateway) == 200
        assert two.calls["predict"] == before
