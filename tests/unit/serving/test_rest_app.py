"""The ASGI application over a stub of a model: paths, methods, pages, CORS, bodies, metrics."""

import gzip
import json
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from protocol.codes import Code
from protocol.messages import model_pb2
from protocol.models import (
    Metadata,
    ModelSpec,
    SignatureSpec,
    State,
    TensorSpec,
    VersionStatus,
)
from protocol.wire import read_signature
from serving.core.errors import ServingError
from serving.inference.methods import ClassScore
from serving.inference.use_cases import Classification, Prediction, Regression
from serving.monitoring import Metrics
from serving.rest.app import create_rest_app

SIGNATURE = SignatureSpec(
    "tensorflow/serving/predict", {"x": TensorSpec("x:0", "DT_FLOAT", (-1,))}, {}, {}, b""
)


@dataclass
class Model:
    """A lease that remembers what it was asked."""

    error: Exception | None = None
    timeouts: list = field(default_factory=list)
    examples: list = field(default_factory=list)
    results: list | None = None
    signatures: dict = field(default_factory=lambda: {"serving_default": SIGNATURE})

    def predict(self, inputs, *, signature_name, timeout_seconds):
        self.timeouts.append(timeout_seconds)
        if self.error:
            raise self.error
        return Prediction(ModelSpec("m", 1, None, signature_name), {"y": inputs["x"] * 2})

    def classify(self, examples, *, signature_name, timeout_seconds):
        self.examples.append((examples, signature_name, timeout_seconds))
        found = [[ClassScore("pos", float(np.float32(0.1)))]]
        return Classification(ModelSpec("m"), found if self.results is None else self.results)

    def regress(self, examples, *, signature_name, timeout_seconds):
        self.examples.append((examples, signature_name, timeout_seconds))
        found = [1.0, float("nan")]
        return Regression(ModelSpec("m"), found if self.results is None else self.results)


class Inference:
    def __init__(self, model):
        self.model = model
        self.specs = []

    @contextmanager
    def lease(self, spec):
        self.specs.append(spec)
        if spec.name != "m":
            raise ServingError(Code.NOT_FOUND, f"no {spec.name}")
        yield self.model

    def status(self, spec):
        self.specs.append(spec)
        return [
            VersionStatus(2, State.END, Code.NOT_FOUND, "gone"),
            VersionStatus(1, State.LOADING),
        ]

    def metadata(self, spec):
        definition = model_pb2.SignatureDef(method_name="predict")
        return Metadata(spec.name, 7, {"s": read_signature(definition)})


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def inference(model):
    return Inference(model)


@pytest.fixture
def ask(inference):
    """Send one request to an application with the given options."""

    async def send_request(method, path, body=b"", headers=None, **options):
        app = create_rest_app(inference, max_workers=1, **options)
        return await call(app, method, path, body, headers or {})

    return send_request


async def call(app, method, path, body, headers):
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    incoming = iter(
        [
            {"type": "http.request", "body": body[:3], "more_body": True},
            {"type": "http.request", "body": body[3:]},
        ]
    )
    sent = []

    async def receive():
        return next(incoming)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    start, rest = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    assert found.pop("content-length") == str(len(rest["body"]))
    return Reply(start["status"], found, rest["body"])


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


async def test_classify_and_regress_send_examples(ask, model):
    body = {
        "signature_name": "s",
        "context": {"c": True},
        "examples": [{"f": [1.5, float("nan")], "i": 1, "b": ["x", {"b64": "/w=="}], "e": []}],
    }
    classified = await ask("POST", "/v1/models/m:classify", json.dumps(body).encode())
    regressed = await ask("POST", "/v1/models/m:regress", b'{"examples": [{}, {}]}')

    assert classified.body == b'{\n    "results": [[["pos", 0.1]]\n    ]\n}'
    assert regressed.body == b'{\n    "results": [1.0, NaN]\n}'
    (sent, name, _), (plain, default, _) = model.examples
    assert (name, default) == ("s", "")
    (example,) = sent.example_list_with_context.examples
    feature = example.features.feature
    assert feature["f"].float_list.value[0] == 1.5
    assert list(feature["i"].int64_list.value) == [1]
    assert list(feature["b"].bytes_list.value) == [b"x", b"\xff"]
    assert feature["e"].WhichOneof("kind") is None
    context = sent.example_list_with_context.context.features.feature["c"]
    assert list(context.int64_list.value) == [1]
    assert len(plain.example_list.examples) == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "{}",
            "JSON Value: {} When method is classify, key 'examples' is expected and was not found",
        ),
        (
            '{"examples": 1}',
            "JSON Value: {\n    \"examples\": 1\n} Expecting 'examples' value to be an list/array",
        ),
        (
            '{"examples": []}',
            "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array",
        ),
        ('{"examples": [1]}', "Example must be JSON object but got JSON Number"),
        (
            '{"examples": [{}], "context": []}',
            "Example must be JSON object but got JSON Array",
        ),
        (
            '{"examples": [{"a": null}]}',
            "Feature: a has element with unexpected JSON type: Null",
        ),
        (
            '{"examples": [{"a": [[1]]}]}',
            "Feature: a has element with unexpected JSON type: Array",
        ),
        (
            '{"examples": [{"a": {"b64": 1}}]}',
            "Feature: a has element with unexpected JSON type: Object",
        ),
        (
            '{"examples": [{"a": [1, 1.5]}]}',
            "Unexpected element type in feature: a expecting type: int64",
        ),
        (
            '{"examples": [{"a": ["x", true]}]}',
            "Unexpected element type in feature: a expecting type: bytes",
        ),
        (
            '{"examples": [{"a": 9223372036854775808}]}',
            "Feature: a has uint64_t element. Only int64_t is supported.",
        ),
        ('{"examples": [{"a": {"b64": "@"}}]}', "Unable to base64 decode"),
    ],
)
async def test_examples_that_are_none_are_refused(body, message, ask):
    reply = await ask("POST", "/v1/models/nope:classify", body.encode())

    assert (reply.status, reply.json) == (400, {"error": message})


async def test_metrics_are_served_at_their_path_only(ask):
    metrics = Metrics()
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


async def test_no_results_have_no_json(ask, model):
    model.results = []

    for method in ("classify", "regress"):
        reply = await ask("POST", f"/v1/models/m:{method}", b'{"examples": [{}]}')
        assert reply.status == 400
        assert reply.json["error"].startswith("Cannot convert empty ")


async def test_examples_keep_what_python_would_not_read(ask, model):
    body = b'{"examples": [{"\xff": 1, "a": [1e39, 18446744073709551616], "a": "last"}]}'

    await ask("POST", "/v1/models/m:regress", body)

    ((sent, _, _),) = model.examples
    feature = sent.example_list.examples[0].features.feature
    assert list(feature["\ufffd"].int64_list.value) == [1]
    assert list(feature["a"].bytes_list.value) == [b"last"]
