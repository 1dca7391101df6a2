"""Whether what a gateway answers stands in its OpenAPI document: a hook for a client's answers."""

from __future__ import annotations

from functools import lru_cache

import httpx

from app.main import create_app
from app.settings.gateway import Settings


@lru_cache
def document():
    return create_app(Settings(model_name="demo")).openapi()


def check_documented(response: httpx.Response) -> None:
    """Fail unless the answer's status, problem type and headers are documented for its route."""
    operation = _operation(response.request.method, response.request.url.path)
    if operation is None:  # a page for people, or there is no such route or method
        return
    answers = operation["responses"]
    assert str(response.status_code) in answers, (operation["operationId"], response.status_code)
    answer = answers[str(response.status_code)]
    assert response.headers["Content-Type"].split(";")[0] in answer["content"]
    for header in ("Retry-After", "WWW-Authenticate", "Server-Timing", "X-Request-Id"):
        assert header not in response.headers or header in answer["headers"], header
    if not response.is_success:
        response.read()
        if "application/json" in answer["content"]:  # the Open Inference Protocol's form
            assert list(response.json()) == ["error"]
            return
        slug = response.json()["type"].rsplit("/", 1)[1]
        examples = answer["content"]["application/problem+json"]["examples"]
        assert slug in examples, (operation["operationId"], slug)


def _operation(method, path):
    paths = document()["paths"]
    if path.startswith("/models/"):
        path = "/models/{name}"
    return paths.get(path, {}).get(method.lower())
