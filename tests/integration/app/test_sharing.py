"""Equal images posted together, through a real gateway."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tests.support.fake_model_server import FakeVersion
from tests.support.gateway import running_gateway, wait_until
from tests.support.pictures import encoded


def posted(gateway, photos, **params):
    with ThreadPoolExecutor(len(photos)) as pool:
        return list(pool.map(lambda photo: gateway.classify(photo, **params), photos))


def metric(gateway, name):
    lines = gateway.client.get("/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def test_equal_images_reach_the_model_once_and_each_request_has_its_own_wishes(fake, photo):
    with running_gateway(fake.url, share_in_flight=True) as gateway:
        gateway.classify(photo)
        fake.calls.clear()
        with ThreadPoolExecutor(4) as pool, fake.held():
            futures = [pool.submit(gateway.classify, photo, top_k=k) for k in (1, 2, 3, 99)]
            wait_until(lambda: gateway.services.admission.images == 3, "all but one wait")
            wait_until(futures[3].done, "one is refused")
        answers = [future.result() for future in futures]
        shared = metric(gateway, "gateway_shared_images_total")
    assert [answer.status_code for answer in answers] == [200, 200, 200, 422]
    assert [len(answer.json()["predictions"]) for answer in answers[:3]] == [1, 2, 3]
    assert len({answer.json()["request_id"] for answer in answers[:3]}) == 3
    assert fake.calls["predict"] == 1
    assert shared == 2


def test_images_of_equal_length_keep_their_own_answers(fake):
    fake.models["demo"][1].delay_seconds = 0.2
    photos = [encoded(np.full((8, 8, 3), grey, np.uint8), "BMP") for grey in (10, 80, 140, 200) * 3]
    assert len({len(photo) for photo in photos}) == 1
    with running_gateway(fake.url, share_in_flight=True) as gateway:
        answers = posted(gateway, photos)
    best = [answer.json()["predictions"][0]["class_index"] for answer in answers]
    assert best == [0, 1, 2, 3] * 3


def test_without_the_setting_every_image_is_computed(fake, photo):
    fake.models["demo"] = {1: FakeVersion(delay_seconds=0.3)}
    with running_gateway(fake.url, max_batch_size=1) as gateway:
        gateway.classify(photo)
        fake.calls.clear()
        posted(gateway, [photo] * 3)
    assert fake.calls["predict"] == 3
