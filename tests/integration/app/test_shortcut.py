"""A photo without parameters does not go through FastAPI's routes: nobody may notice."""

from __future__ import annotations

import pytest

from tests.support.api_keys import KEY, hash_line
from tests.support.gateway import running_gateway
from tests.support.processes import wait_until

ROUTED = {"min_probability": "0"}
"""It says what is the case anyway, but the shortcut knows no parameters."""


def form(data, field="file"):
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="a"\r\n\r\n'
    return head.encode() + data + b"\r\n--b--\r\n"


def bodies(photo):
    multipart = "multipart/form-data; boundary=b"
    return {
        "raw": ("image/jpeg", photo),
        "form": (multipart, form(photo)),
        "another field": (multipart, form(photo, "photo")),
        "no boundary": ("multipart/form-data", form(photo)),
        "empty": ("image/jpeg", b""),
        "no image": ("image/jpeg", b"nonsense"),
        "damaged": ("image/jpeg", photo[: len(photo) // 2]),
        "another type": ("text/plain", b"hello"),
        "JSON": ("application/json", b'{"image": {"b64": "aGVsbG8="}}'),
        "no JSON": ("application/json", b"{"),
        "too large": ("image/jpeg", bytes(200_000)),
    }


def said(response):
    """Status, headers and body without what differs from request to request."""
    names = {name for name in response.headers if name != "server-timing"}
    body = response.json()
    body.pop("request_id")
    body.pop("timing_ms", None)
    return response.status_code, names, body, "server-timing" in response.headers


def has_line(gateway, ending):
    metrics = gateway.client.get("/metrics").text.splitlines()
    return any("gateway_requests_total" in line and ending in line for line in metrics)


@pytest.mark.parametrize("kind", bodies(b""))
def test_the_answer_is_that_of_the_route(fake, photo, kind):
    content_type, body = bodies(photo)[kind]
    with running_gateway(fake.url, max_body_bytes=150_000) as gateway:
        short, routed = (
            gateway.client.post(
                "/classify", content=body, params=params, headers={"Content-Type": content_type}
            )
            for params in ({}, ROUTED)
        )
        assert said(short) == said(routed)
        counted = f'method="POST",route="/classify",status="{short.status_code}"}} 2.0'
        wait_until(lambda: has_line(gateway, counted), "both are counted under one route")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Request-Timeout-Ms": "0"}, 422),
        ({"X-Request-Timeout-Ms": "soon"}, 422),
        ({"X-Request-Timeout-Ms": "30000"}, 200),
        ({"X-Sticky-Key": "x" * 257}, 422),
        ({"X-Sticky-Key": "user"}, 200),
    ],
)
def test_headers_that_are_parameters_are_read(gateway, photo, headers, status):
    response = gateway.client.post(
        "/classify", content=photo, headers={"Content-Type": "image/jpeg", **headers}
    )
    assert response.status_code == status


def test_guards_stand_before_it(fake, photo, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(hash_line("ours", KEY))
    with running_gateway(fake.url, api_keys_file=keys) as gateway:
        ask = {"url": "/classify", "content": photo}
        typed = {"Content-Type": "image/jpeg"}
        assert gateway.client.post(**ask, headers=typed).status_code == 401
        assert gateway.client.post(**ask, headers={**typed, "X-API-Key": KEY}).status_code == 200
        assert gateway.client.get("/classify", headers={"X-API-Key": KEY}).status_code == 405
