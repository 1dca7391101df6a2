"""What the gateway makes of models whose card or signatures are not what it needs."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from tests.support.fake_model_server import FakeVersion
from tests.support.gateway import running_gateway, wait_until


@dataclass
class BrokenCard(FakeVersion):
    """A version whose card does not parse."""

    def card(self, name):
        return b'{"model_name": "' + name.encode() + b'"}'


def problem(response):
    return response.status_code, response.json()["type"].rsplit("/", 1)[-1]


def test_a_card_that_cannot_be_read_is_a_bad_gateway_and_not_ready(fake, model_server_url, photo):
    fake.models["demo"] = {1: BrokenCard()}
    with running_gateway(model_server_url) as gateway:
        assert problem(gateway.classify(photo)) == (502, "model-server-error")
        assert gateway.client.get("/readyz").status_code == 503
        listed = gateway.client.get("/models/demo").json()["versions"]
        assert listed[0]["error"] == "the model card cannot be read"
        fake.models["demo"] = {2: FakeVersion()}
        wait_until(lambda: gateway.classify(photo).status_code == 200, "the next version answers")


def test_a_card_is_read_again_once_a_second_at_most(fake, gateway, photo):
    """For what was asked for: the served version, and one by its number."""
    began = time.monotonic()
    for _ in range(20):
        gateway.classify(photo)
        gateway.classify(photo, version=1)
        gateway.client.get("/models/demo")
    assert fake.calls["model_card"] <= 2 * (1 + time.monotonic() - began)


def test_top_k_is_held_against_the_version_that_is_asked(fake, gateway, photo):
    fake.models["demo"][2] = FakeVersion(k=1)
    assert gateway.classify(photo, version=1, top_k=3).status_code == 200
    assert problem(gateway.classify(photo, version=2, top_k=3)) == (422, "invalid-parameter")


@pytest.mark.parametrize("state", ["START", "LOADING"])
def test_a_version_that_is_still_loading_is_not_missing(fake, gateway, photo, state):
    fake.models["demo"][2] = FakeVersion(state=state)
    assert problem(gateway.classify(photo, version=2)) == (503, "model-not-ready")


def test_an_unloaded_version_is_missing(fake, gateway, photo):
    fake.models["demo"][2] = FakeVersion(state="END")
    assert problem(gateway.classify(photo, version=2)) == (404, "model-version-not-found")


def test_a_model_whose_versions_all_ended_is_not_ready(fake, gateway, photo):
    gateway.classify(photo)
    fake.models["demo"][1].state = "END"
    assert problem(gateway.classify(photo)) == (503, "model-not-ready")
