"""Images as base64 in JSON: the same answers, and the same bounds, as other bodies."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from tests.integration.app.test_bad_input import expect
from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.gateway import running_gateway

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def gateway():
    with (
        running_fake(demo={1: FakeVersion()}) as fake,
        running_gateway(fake.url, max_batch_files=4) as running,
    ):
        yield running


@pytest.fixture(autouse=True)
def _healthy_afterwards(gateway, photo):
    yield
    assert gateway.services.admission.images == 0
    assert gateway.services.buffers.bytes == 0
    assert gateway.classify(photo).status_code == 200


def text_of(photo):
    return b64encode(photo).decode()


def post(gateway, body, path="/classify", **params):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gateway.client.post(path, content=content, headers=JSON, params=params)


@pytest.mark.parametrize("end", [0, -1, -2])
def test_the_answer_is_that_of_the_same_bytes_in_a_form(gateway, photo, end):
    data = photo + bytes(-end)  # each padding of base64
    answer = post(gateway, {"image": {"b64": text_of(data)}}, top_k=2)
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == gateway.classify(data, top_k=2).json()["predictions"]


def test_wherever_the_body_is_cut_and_however_slashes_are_written(gateway, photo):
    body = json.dumps({"image": {"b64": text_of(photo)}}, indent=1).replace("/", "\\/").encode()
    assert b"\\/" in body
    for size in (1, 3, 7, 1000):

        def pieces(size=size):
            for start in range(0, len(body), size):
                yield body[start : start + size]

        answer = gateway.client.post("/classify", content=pieces(), headers=JSON)
        assert answer.status_code == 200, (size, answer.text)


def test_a_batch_answers_each_by_its_name(gateway, photo):
    images = [
        {"b64": text_of(photo), "name": 'a "quoted" ü.jpg'},
        {"name": "b", "b64": b64encode(b"nonsense").decode()},
        {"b64": text_of(photo)},
    ]
    results = post(gateway, {"images": images}, "/classify/batch").json()["results"]
    assert [each["file"] for each in results] == ['a "quoted" ü.jpg', "b", None]
    assert results[0]["predictions"] == results[2]["predictions"] != []
    assert results[1]["problem"]["type"] == "/problems/invalid-image"


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"image": {"b64": "a"}}, "image.b64"),
        ({"image": {"b64": "QQ==QQ=="}}, "image.b64"),
        ({"image": {"b64": "Q!==" * 3000}}, "image.b64"),
        ({"image": {"b64": "QUJD" * 1024 + "QQ==" + "QUJD" * 2048}}, "image.b64"),
        ({"image": {"b64": "data:image/png;base64,QUJD"}}, "image.b64"),
        ({"image": {"b64": "QU_-"}}, "image.b64"),
        ({"image": {"b64": "\u00fc"}}, "image.b64"),
        ({"image": {"b64": 7}}, "image.b64"),
        ({"image": {"b64": None}}, "image.b64"),
        (b'{"image": {"b\\u00364": "base64 of image 0"}}', "image.b64"),
        (b'{"image": {"b\\u00364": "base64 of image ' + b"9" * 5000 + b'"}}', "image.b64"),
        ({"image": "QUJD"}, "b64"),
        ({"image": {}}, "b64"),
        ({"image": {"b64": "QUJD", "name": "a"}}, "name"),
        ({"image": {"b64": "QUJD"}, "top_k": 3}, "top_k"),
        ({"images": []}, "image"),
        ([], "image"),
        ("text", "image"),
    ],
)
def test_what_is_not_of_the_form_is_named(gateway, body, parameter):
    problem = expect(post(gateway, body), 422, "invalid-parameter")
    assert problem["parameter"] == parameter
    assert len(problem["detail"]) < 200


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"images": []}, "images"),
        ({"images": {}}, "images"),
        ({"images": [{"b64": "QUJD"}, {"b64": "?"}]}, "images[1].b64"),
        ({"images": [{"b64": "QUJD", "name": 1}]}, "images[0].name"),
        ({"images": ["QUJD"]}, "b64"),
        ({"image": {"b64": "QUJD"}}, "images"),
    ],
)
def test_neither_is_a_batch(gateway, body, parameter):
    problem = expect(post(gateway, body, "/classify/batch"), 422, "invalid-parameter")
    assert problem["parameter"] == parameter


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"image": {"b64": "QUJD',
        b'{"image": {"b64": "QUJD"}',
        b'{"image": {"b64": "QUJD"}}}',
        b'{"image": {"b64": "QUJD"}, "x": "\xff"}',
        b'{"image": {"b64": "QUJD"}, "x": "\\ud800"}',
        b"[" * 60_000,
        b"NaN",
        b'"\\',
    ],
)
def test_what_is_no_json(gateway, body):
    problem = expect(post(gateway, body), 400, "bad-request")
    assert problem["detail"] == "the body is no JSON"


def test_an_empty_image(gateway):
    problem = expect(post(gateway, {"image": {"b64": ""}}), 400, "bad-request")
    assert problem["detail"] == "the image is empty: zero bytes arrived"


@pytest.mark.parametrize("junk", [b"[[],", b'"a",', b'{"a":1},', b" ", b'"\\"', b"7"])
def test_what_stands_around_images_is_bounded_while_it_arrives(gateway, junk):
    body = b'{"image": {"b64": "QUJD"}, "x": [' + junk * (2_000_000 // len(junk))
    expect(post(gateway, body), 413, "payload-too-large")


def test_more_images_than_allowed(gateway):
    several = {"images": [{"b64": "QUJD"}] * 5}
    expect(post(gateway, several, "/classify/batch"), 413, "payload-too-large")
    # One image named many times is as much work as many.
    again = b'{"b\\u00364": "base64 of image 0"}'
    body = b'{"images": [{"b64": "QUJD"}' + (b"," + again) * 1000 + b"]}"
    expect(post(gateway, body, "/classify/batch"), 413, "payload-too-large")
    twice = b'{"image": {"b64": "QUJD", "b64": "QUJD"}}'
    problem = expect(post(gateway, twice), 413, "payload-too-large")
    assert "/classify/batch" in problem["detail"]


def test_the_bytes_that_are_sent_count(gateway):
    body = b'{"image": {"b64": "' + b"QUJD" * 5_000_001 + b'"}}'
    expect(post(gateway, body), 413, "payload-too-large")
    body = b'{"image": {"b64": "' + b"QUJD" * 4_900_000 + b'"}}'
    expect(post(gateway, body), 422, "invalid-image")
