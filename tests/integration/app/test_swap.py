"""Versions change under traffic: no failed request, no label of another version."""

from __future__ import annotations

import threading

import pytest

from tests.support.fake_model_server import FakeVersion
from tests.support.gateway import running_gateway, wait_until


class Traffic:
    """Clients that ask without pause and keep every answer."""

    def __init__(self, gateway, photo, clients=3):
        self._gateway, self._photo = gateway, photo
        self._stop = threading.Event()
        self.answers = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self):
        while not self._stop.is_set():
            response = self._gateway.classify(self._photo)
            self.answers.append((response.status_code, response.json()))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def versions(self):
        return [body["model"]["version"] for _, body in list(self.answers)]


def version(number, side=8):
    return FakeVersion(labels=[f"v{number}-{index}" for index in range(4)], side=side)


@pytest.mark.parametrize("sides", [(8, 8, 8), (8, 12, 6)], ids=["same size", "other sizes"])
def test_every_answer_has_the_labels_of_the_version_it_names(fake, model_server_url, photo, sides):
    fake.models["demo"] = {1: version(1, sides[0])}
    with running_gateway(model_server_url) as gateway, Traffic(gateway, photo) as traffic:
        for number in (2, 3):
            wait_until(lambda: len(traffic.answers) > 20, "some traffic")
            fake.models["demo"][number] = version(number, sides[number - 1])
            wait_until(lambda number=number: number in traffic.versions(), "the new one answers")
            fake.models["demo"][number - 1].state = "END"
            seen = len(traffic.answers)
            wait_until(lambda seen=seen: len(traffic.answers) > seen + 20, "traffic on it")
    for status, body in traffic.answers:
        assert status == 200, body
        number = body["model"]["version"]
        assert {each["label"][:2] for each in body["predictions"]} == {f"v{number}"}
    assert set(traffic.versions()) == {1, 2, 3}


def test_a_moved_label_is_followed(fake, model_server_url, photo):
    fake.models["demo"] = {1: version(1), 2: version(2)}
    fake.version_labels["demo", "canary"] = 1
    with running_gateway(model_server_url) as gateway:

        def ask():
            return gateway.classify(photo, version_label="canary").json()["model"]["version"]

        assert ask() == 1
        fake.version_labels["demo", "canary"] = 2
        wait_until(lambda: ask() == 2, "the label's new version answers", seconds=20)
