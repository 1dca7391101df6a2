"""What the REST API has at its paths, and what is asked for by each."""

import pytest

from protocol.models import ModelSpec
from serving.monitoring import Metrics

pytestmark = pytest.mark.anyio

PREDICT = b'{"instances": [1, 2]}'
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("path", "spec"),
    [
        ("/v1/models/m:predict", ModelSpec("m")),
        ("/V1/MODELS/m:predict", ModelSpec("m")),
        ("/v1/models/%6D:predict", ModelSpec("m")),
        ("/v1/models/m/versions/007:predict", ModelSpec("m", version=7)),
        ("/v1/models/m/labels/a%20b:predict", ModelSpec("m", version_label="a b")),
    ],
)
async def test_predict_runs_the_model_that_the_path_names(path, spec, ask, inference):
    reply = await ask("POST", path, PREDICT)

    assert (reply.status, reply.headers) == (200, JSON)
    assert reply.json == {"predictions": [2.0, 4.0]}
    assert inference.specs == [spec]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/m:predict"),
        ("PUT", "/v1/models/m:predict"),
        ("HEAD", "/v1/models/m"),
        ("PATCH", "/v1/models/m"),
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m:predict?x=1"),
        ("POST", "/v1/models/m:PREDICT"),
        ("POST", "/v1/models/m:predict/"),
        ("POST", "/v1/models/m/versions/-1:predict"),
        ("GET", "/v1/models/m/"),
        ("GET", "/v1/models/m/versions/"),
        ("GET", "/v1/models/m/versions/1/labels/x"),
        ("GET", "/v1/"),
        ("GET", "/v1/anything"),
        ("GET", "/v1/models/m?u=http://other.example/v1/models/m"),
    ],
)
async def test_what_the_api_does_not_have_is_malformed(method, path, ask):
    reply = await ask(method, path, PREDICT)

    assert (reply.status, reply.headers) == (400, JSON)
    assert reply.json == {"error": f"Malformed request: {method} {path}"}


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models/m", "/metrics", "//v1/models/m", "v1/x"])
async def test_outside_the_api_is_a_page(path, ask):
    reply = await ask("GET", path)

    assert reply.status == 404
    assert reply.headers == {"content-type": "text/html", "connection": "close"}
    assert b"<TITLE>404 Not Found</TITLE>" in reply.body


@pytest.mark.parametrize("path", ["/v1/models/m%zz", "/v1/models/m%2", '/v1/models/"', "/v1/[m]"])
async def test_a_path_that_is_no_uri_is_a_page(path, ask):
    reply = await ask("GET", path)

    assert reply.status == 400
    assert b"<H1>Bad Request</H1>" in reply.body


async def test_an_unknown_method_is_a_page(ask):
    assert (await ask("BREW", "/v1/models/m")).status == 501


async def test_models_without_a_name_and_versions_beyond_64_bits(ask):
    assert (await ask("GET", "/v1/models")).json == {"error": "Missing model name in request."}
    for version in ("9223372036854775808", "9" * 5000):
        reply = await ask("GET", f"/v1/models/m/versions/{version}")
        assert (reply.status, reply.headers, reply.body) == (400, JSON, b"")


async def test_a_query_is_part_of_the_name(ask, inference):
    await ask("GET", "/v1/models/m?x=1")

    assert inference.specs == [ModelSpec("m?x=1")]


async def test_status_lists_versions_with_their_errors(ask):
    assert (await ask("GET", "/v1/models/m")).json == {
        "model_version_status": [
            {
                "version": "2",
                "state": "END",
                "status": {"error_code": "NOT_FOUND", "error_message": "gone"},
            },
            {
                "version": "1",
                "state": "LOADING",
                "status": {"error_code": "OK", "error_message": ""},
            },
        ]
    }


async def test_metadata_unpacks_the_signatures(ask):
    reply = await ask("GET", "/v1/models/m/metadata")

    assert reply.json["model_spec"] == {"name": "m", "version": "7", "signature_name": ""}
    assert reply.json["metadata"]["signature_def"]["signature_def"]["s"] == {
        "inputs": {},
        "outputs": {},
        "method_name": "predict",
        "defaults": {},
    }


async def test_metrics_are_served_at_their_path_only(ask):
    metrics = Metrics(is_served=lambda _: True)
    options = {"metrics": metrics, "metrics_path": "/monitor"}
    await ask("POST", "/v1/models/m:predict", PREDICT, **options)
    await ask("GET", "/v1/models/m", **options)

    page = await ask("GET", "/monitor", **options)
    with_query = await ask("GET", "/monitor?x", **options)

    assert page.headers == {"content-type": "text/plain"}
    assert b':request_count{model_name="m",status="OK"} 2\n' in page.body
    assert b'_count{model_name="m",API="predict",entrypoint="REST"} 1\n' in page.body
    assert b'_count{model_name="m",API="",entrypoint="REST"} 1\n' in page.body
    assert (with_query.status, with_query.body) == (
        400,
        b"Unexpected path: /monitor?x. Should be /monitor",
    )
    assert (await ask("GET", "/monitor/", **options)).status == 404
