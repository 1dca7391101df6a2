"""The REST application over a stub of a model: errors, bodies, CORS, life and death."""

import gzip

import pytest

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.rest.app import create_rest_app

pytestmark = pytest.mark.anyio

PREDICT = b'{"instances": [1, 2]}'
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.CANCELLED, 499),
        (Code.UNKNOWN, 500),
        (Code.INVALID_ARGUMENT, 400),
        (Code.DEADLINE_EXCEEDED, 504),
        (Code.NOT_FOUND, 404),
        (Code.ALREADY_EXISTS, 409),
        (Code.PERMISSION_DENIED, 403),
        (Code.RESOURCE_EXHAUSTED, 429),
        (Code.FAILED_PRECONDITION, 400),
        (Code.ABORTED, 409),
        (Code.OUT_OF_RANGE, 400),
        (Code.UNIMPLEMENTED, 501),
        (Code.INTERNAL, 500),
        (Code.UNAVAILABLE, 503),
        (Code.DATA_LOSS, 500),
        (Code.UNAUTHENTICATED, 401),
    ],
)
async def test_every_code_has_its_status(code, status, ask, model):
    model.error = ServingError(code, 'say "why"')

    reply = await ask("POST", "/v1/models/m:predict", PREDICT)

    assert (reply.status, reply.json) == (status, {"error": 'say "why"'})


async def test_a_defect_of_ours_is_an_internal_error_without_its_text(ask, model):
    model.error = RuntimeError("secret")

    reply = await ask("POST", "/v1/models/m:predict", PREDICT)

    assert (reply.status, reply.json) == (500, {"error": "Internal error"})


async def test_a_broken_body_is_refused_before_the_model_is_looked_for(ask, inference):
    assert (await ask("POST", "/v1/models/nope:predict", b"{")).status == 400
    assert inference.specs == []
    assert (await ask("POST", "/v1/models/nope:predict", PREDICT)).json == {"error": "no nope"}


async def test_an_unknown_signature_is_an_invalid_argument(ask):
    reply = await ask("POST", "/v1/models/m:predict", b'{"signature_name": "s", "inputs": 1}')

    assert reply.json == {"error": 'Serving signature name: "s" not found in signature def'}


async def test_the_timeout_reaches_the_model(ask, model):
    await ask("POST", "/v1/models/m:predict", PREDICT, timeout_seconds=1.5)

    assert model.timeouts == [1.5]


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "gzip, deflate"])
async def test_gzip_bodies_are_unpacked(encoding, ask):
    body = gzip.compress(PREDICT)

    reply = await ask("POST", "/v1/models/m:predict", body, {"content-encoding": encoding})

    assert reply.status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"no gzip",
        gzip.compress(PREDICT)[:-1],
        gzip.compress(PREDICT) + b"x",
        2 * gzip.compress(PREDICT),
        gzip.compress(bytes(101 * 2**20), 9),
    ],
    ids=["broken", "cut off", "followed by text", "followed by another", "bomb"],
)
async def test_a_gzip_body_that_cannot_be_unpacked_counts_as_empty(body, ask):
    reply = await ask("POST", "/v1/models/m:predict", body, {"content-encoding": "gzip"})

    assert reply.json == {"error": "JSON Parse error: The document is empty"}


@pytest.mark.parametrize(("expect", "status"), [("100-Continue", 200), ("foo", 417)])
async def test_to_go_on_is_all_that_a_client_may_expect(expect, status, ask):
    headers = {"expect": expect, "content-length": str(len(PREDICT))}

    reply = await ask("POST", "/v1/models/m:predict", PREDICT, headers)

    assert reply.status == status


async def test_an_expectation_without_a_body_does_not_matter(ask):
    assert (await ask("GET", "/v1/models/m", headers={"expect": "foo"})).status == 200


CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers": "Content-Type",
}


async def test_cors_headers_come_with_the_flag_only(ask):
    assert (await ask("POST", "/v1/models/m:predict", PREDICT)).headers == JSON
    assert (await ask("POST", "/v1/models/m:predict", PREDICT, cors=True)).headers == JSON | CORS
    assert (await ask("GET", "/v1/nothing", cors=True)).headers == JSON | CORS
    assert CORS.keys().isdisjoint((await ask("GET", "/", cors=True)).headers)


@pytest.mark.parametrize(("origin", "status"), [("https://a.example", 200), ("", 400), ("x", 400)])
@pytest.mark.parametrize("cors", [True, False])
async def test_a_preflight_needs_a_web_origin(origin, status, cors, ask):
    reply = await ask("OPTIONS", "/v1/models/m:predict", headers={"origin": origin}, cors=cors)

    assert (reply.status, reply.body) == (status, b"")
    assert (reply.headers.keys() >= CORS.keys()) == cors


async def test_a_client_that_goes_away_gets_no_answer(inference):
    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        raise AssertionError(message)

    scope = {
        "type": "http",
        "method": "POST",
        "raw_path": b"/v1/models/m:predict",
        "query_string": b"",
        "headers": [],
    }
    await create_rest_app(inference)(scope, receive, send)

    assert inference.specs == []


async def test_the_application_lives_and_dies_with_its_server(inference):
    incoming = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent = []

    async def receive():
        return next(incoming)

    async def send(message):
        sent.append(message["type"])

    await create_rest_app(inference)({"type": "lifespan"}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
