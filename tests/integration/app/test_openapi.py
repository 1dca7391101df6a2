"""The OpenAPI document is true: whatever it allows is answered as it says."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.gateway import running_gateway

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
OPERATIONS = [
    ("/classify", "POST"),
    ("/classify/batch", "POST"),
    ("/models", "GET"),
    ("/models/{name}", "GET"),
    ("/livez", "GET"),
    ("/readyz", "GET"),
    ("/healthz", "GET"),
    ("/metrics", "GET"),
    ("/stats", "GET"),
    ("/v2", "GET"),
    ("/v2/health/live", "GET"),
    ("/v2/health/ready", "GET"),
    ("/v2/models/{name}", "GET"),
    ("/v2/models/{name}/infer", "POST"),
    ("/v2/models/{name}/ready", "GET"),
    ("/v2/models/{name}/versions/{version}", "GET"),
    ("/v2/models/{name}/versions/{version}/infer", "POST"),
    ("/v2/models/{name}/versions/{version}/ready", "GET"),
]


@pytest.fixture(scope="module")
def api():
    with running_fake(demo={1: FakeVersion()}) as fake, running_gateway(fake.url) as gateway:
        yield schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")


def test_all_routes_are_listed_here(api):
    listed = [(result.ok().path, result.ok().method.upper()) for result in api.get_all_operations()]
    assert sorted(listed) == sorted(OPERATIONS)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_operation_answers_as_documented(api, path, method):
    @given(case=api[path][method].as_strategy())
    @settings(
        max_examples=25 if method == "POST" else 5,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case):
        response = case.call_and_validate(checks=CHECKS)
        assert response.status_code not in {500, 502, 503}  # 504: it may ask for 1 ms

    check()
