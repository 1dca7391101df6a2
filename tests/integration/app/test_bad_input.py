"""Whatever a client sends: the right status, a problem, and a gateway as healthy as before."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.gateway import running_gateway
from tests.support.pictures import encoded, png_bomb


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
    assert gateway.client.get("/readyz").status_code == 200


def expect(response, status, slug):
    body = response.json()
    assert (response.status_code, body["type"]) == (status, f"/problems/{slug}"), response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    assert body["status"] == status
    assert body["title"]
    assert body["request_id"] == response.headers["X-Request-Id"]
    return body


def raw(gateway, content, media_type="image/jpeg", **params):
    headers = {"Content-Type": media_type}
    return gateway.client.post("/classify", content=content, headers=headers, params=params)


def test_an_empty_body(gateway):
    expect(raw(gateway, b""), 400, "bad-request")
    expect(gateway.classify(b""), 400, "bad-request")


def test_no_content_type(gateway):
    expect(gateway.client.post("/classify"), 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/xml", "video/mp4", ";", "imagé/x"]
)
def test_types_that_are_no_image(gateway, media_type):
    expect(raw(gateway, b"hello", media_type.encode()), 415, "unsupported-media-type")


def test_text_instead_of_an_image(gateway):
    expect(raw(gateway, b"hello"), 422, "invalid-image")
    expect(gateway.classify(b"hello" * 1000), 422, "invalid-image")


def test_a_truncated_jpeg(gateway):
    data = encoded(np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8))
    body = expect(gateway.classify(data[: len(data) // 2]), 422, "invalid-image")
    assert body["detail"] == "the image is truncated or damaged"


def test_one_pixel_is_an_image(gateway):
    response = gateway.classify(encoded(np.zeros((1, 1, 3), np.uint8), "PNG"))
    assert response.status_code == 200
    assert response.json()["image"] == {"format": "PNG", "width": 1, "height": 1}


def test_a_bomb_is_refused_before_a_pixel_is_decoded(gateway):
    body = expect(gateway.classify(png_bomb()), 413, "image-too-large")
    assert body["detail"] == "the image has more than 64,000,000 pixels"


def test_a_format_that_is_not_allowed(gateway):
    expect(gateway.classify(encoded(np.zeros((9, 9, 3), np.uint8), "TIFF")), 422, "invalid-image")


def test_30_megabytes_announced(gateway):
    expect(gateway.classify(bytes(30_000_000)), 413, "payload-too-large")
    expect(raw(gateway, bytes(30_000_000)), 413, "payload-too-large")


def test_30_megabytes_in_chunks_of_unknown_total(gateway):
    def chunks():
        for _ in range(30):
            yield bytes(1_000_000)

    expect(raw(gateway, chunks()), 413, "payload-too-large")


def test_a_wrong_field(gateway, photo):
    body = expect(gateway.client.post("/classify", files={"picture": photo}), 400, "bad-request")
    assert body["detail"] == "the form has no field file; the form has: picture"


def test_two_files_for_one_answer(gateway, photo):
    files = [("file", ("a", photo)), ("file", ("b", photo))]
    body = expect(gateway.client.post("/classify", files=files), 413, "payload-too-large")
    assert "send several to /classify/batch, in the field files" in body["detail"]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", "multipart/form-data; boundary=x"),
        (b"junk", "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data"),
        (
            b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nabc",
            "multipart/form-data; boundary=x",
        ),
        (b"--x\r\nno colon\r\n\r\nabc\r\n--x--", "multipart/form-data; boundary=x"),
        (b"--x--\r\n", "multipart/form-data; boundary=x"),
        (b"--x", "multipart/form-data; boundary=" + "x" * 300),
    ],
)
def test_forms_that_cannot_be_parsed(gateway, content, media_type):
    expect(raw(gateway, content, media_type), 400, "bad-request")


@pytest.mark.parametrize(
    ("params", "parameter"),
    [
        ({"top_k": "0"}, "top_k"),
        ({"top_k": "-1"}, "top_k"),
        ({"top_k": "999"}, "top_k"),
        ({"top_k": "abc"}, "top_k"),
        ({"top_k": "4"}, "top_k"),
        ({"min_probability": "1.01"}, "min_probability"),
        ({"min_probability": "nan"}, "min_probability"),
        ({"version": "x"}, "version"),
        ({"version": "-1"}, "version"),
        ({"version": str(2**63)}, "version"),
        ({"version": "1", "version_label": "canary"}, "version_label"),
        ({"version_label": ""}, "version_label"),
        ({"model": ""}, "model"),
        ({"model": "a/b"}, "model"),
        ({"model": "m" * 256}, "model"),
    ],
)
def test_parameters_that_cannot_be(gateway, photo, params, parameter):
    body = expect(gateway.classify(photo, **params), 422, "invalid-parameter")
    assert body["parameter"] == parameter
    assert body["detail"].startswith(f"{parameter}: ")


@pytest.mark.parametrize("value", ["abc", "0", "-5", "1e3", "99999999999"])
def test_a_deadline_that_cannot_be(gateway, photo, value):
    headers = {"X-Request-Timeout-Ms": value}
    response = gateway.client.post("/classify", files={"file": photo}, headers=headers)
    body = expect(response, 422, "invalid-parameter")
    assert body["parameter"] == "x-request-timeout-ms"


def test_an_unknown_model(gateway, photo):
    expect(gateway.classify(photo, model="nope"), 404, "model-not-found")
    expect(gateway.classify(photo, model="nope", version=1), 404, "model-not-found")
    expect(gateway.classify(photo, model="nope", version_label="x"), 404, "model-not-found")
    expect(gateway.client.get("/models/nope"), 404, "model-not-found")
    expect(gateway.classify(photo, model="\ufffd\u2028🙂"), 404, "model-not-found")


def test_an_unknown_version_or_label(gateway, photo):
    expect(gateway.classify(photo, version=99), 404, "model-version-not-found")
    expect(gateway.classify(photo, version_label="nope"), 404, "model-version-not-found")


def test_an_unknown_path(gateway):
    expect(gateway.client.get("/nowhere"), 404, "not-found")
    expect(gateway.client.get("/classify/"), 404, "not-found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method(gateway, method):
    response = gateway.client.request(method, "/classify")
    expect(response, 405, "method-not-allowed")
    assert response.headers["Allow"] == "POST"


def test_too_many_files_in_a_batch(gateway, photo):
    files = [("files", (f"{number}.jpg", photo)) for number in range(5)]
    expect(gateway.client.post("/classify/batch", files=files), 413, "payload-too-large")


def test_a_batch_that_is_no_form_or_has_no_files(gateway, photo):
    headers = {"Content-Type": "image/jpeg"}
    response = gateway.client.post("/classify/batch", content=photo, headers=headers)
    expect(response, 415, "unsupported-media-type")
    expect(gateway.client.post("/classify/batch", files={"file": photo}), 400, "bad-request")


def test_odd_but_good_images_are_classified(gateway):
    for mode in ("L", "P", "LA", "RGBA", "CMYK", "1", "I;16"):
        file = BytesIO()
        Image.new(mode, (9, 7)).save(file, "JPEG" if mode == "CMYK" else "PNG")
        assert gateway.classify(file.getvalue()).status_code == 200, mode
