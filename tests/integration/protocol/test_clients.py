"""One suite over both clients: the same questions get the same values, whichever protocol asks."""

import http.server
import json
import socket
import threading
from contextlib import closing, contextmanager

import numpy as np
import pytest

from protocol.blocking import BlockingClient
from protocol.client import AnswerError, CallError
from protocol.codes import Code
from protocol.models import ModelSpec, State, VersionStatus
from tests.support import fixture_models
from tests.support.model_server import models_config, running_model_server, wait_until_available

IMAGES = np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3)


def texts(*values):
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


@pytest.fixture(scope="module")
def server(tmp_path_factory, worker_id):
    models = fixture_models.shared(tmp_path_factory, worker_id)
    directory = tmp_path_factory.mktemp("clients")
    config = directory / "models.config"
    config.write_text(
        models_config(
            f'name: "t" base_path: "{models}/t"',
            f'name: "mv" base_path: "{models}/m" '
            "model_version_policy { specific { versions: 1 versions: 2 } } "
            'version_labels { key: "canary" value: 2 }',
        )
    )
    flags = (f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models")
    with running_model_server(directory, *flags) as running:
        wait_until_available(running, "mv")
        yield running


@pytest.fixture(params=["grpc", "http"])
def client(request, server):
    with BlockingClient(server.url(request.param), timeout_seconds=30) as connected:
        yield connected


def test_numbers_come_back_in_their_shape_whichever_version_is_asked(client):
    answers = {
        spec: client.predict(spec, "images", IMAGES, outputs=("scores",)).outputs["scores"]
        for spec in (
            ModelSpec("mv", version=1),
            ModelSpec("mv", version=2),
            ModelSpec("mv", version_label="canary"),
        )
    }
    first, second, canary = answers.values()
    assert first.shape == (2, 4)
    np.testing.assert_allclose(second - first, 1.0, atol=1e-5)
    np.testing.assert_array_equal(canary, second)


def test_the_version_is_known_where_the_answer_or_the_question_names_it(client):
    pinned = client.predict(ModelSpec("mv", version=1), "images", IMAGES)
    served = client.predict(ModelSpec("mv"), "images", IMAGES)
    assert pinned.version == 1
    assert served.version == (2 if client.scheme == "grpc" else None)


def test_strings_travel_as_bytes_even_where_json_has_none_for_them(client):
    values = texts(b"plain", "gr\u00fcn".encode(), b"")
    outputs = client.predict(ModelSpec("t", signature_name="strings"), "s", values).outputs
    assert outputs["text"].tolist() == values.tolist()
    assert outputs["text_bytes"].tolist() == values.tolist()
    raw = texts(bytes(range(192)), bytes(192))
    echoed = client.predict(ModelSpec("mv", signature_name="raw"), "image_bytes", raw).outputs
    assert echoed["echo_bytes"].tolist() == raw.tolist()
    assert echoed["length"].tolist() == [192, 192]


def test_metadata_say_the_same_over_both_protocols(server):
    found = []
    for scheme in ("grpc", "http"):
        with BlockingClient(server.url(scheme), timeout_seconds=30) as client:
            found.append(client.metadata(ModelSpec("mv")))
    over_grpc, over_rest = found
    assert over_grpc.version == over_rest.version == 2
    assert over_grpc.signatures.keys() == over_rest.signatures.keys() >= {"serving_default", "raw"}
    for name, signature in over_grpc.signatures.items():
        other = over_rest.signatures[name]
        assert signature.inputs == other.inputs
        assert signature.outputs == other.outputs
        assert signature.method_name == other.method_name
    images = over_grpc.signatures["serving_default"].inputs["images"]
    assert (images.dtype, images.shape) == ("DT_UINT8", (-1, 8, 8, 3))


def test_statuses_list_versions_highest_first(client):
    assert client.statuses("mv") == [
        VersionStatus(2, State.AVAILABLE),
        VersionStatus(1, State.AVAILABLE),
    ]


def test_a_refusal_carries_code_and_words(client):
    with pytest.raises(CallError, match="Could not find any versions of model nope") as unknown:
        client.statuses("nope")
    assert unknown.value.code is Code.NOT_FOUND
    with pytest.raises(CallError) as wrong:
        client.predict(ModelSpec("t"), "no_such_input", np.zeros((1, 3), np.float32))
    assert wrong.value.code is Code.INVALID_ARGUMENT
    with pytest.raises(CallError, match="Unrecognized servable version label: nope"):
        client.metadata(ModelSpec("mv", version_label="nope"))


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_there_is_unavailable(scheme):
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"{scheme}://127.0.0.1:{probe.getsockname()[1]}"
        with BlockingClient(url, timeout_seconds=10) as client, pytest.raises(CallError) as error:
            client.statuses("m")
    assert error.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_silence_is_a_deadline_that_passed(scheme):
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        with BlockingClient(url, timeout_seconds=0.3) as client, pytest.raises(CallError) as error:
            client.statuses("m")
    assert error.value.code is Code.DEADLINE_EXCEEDED


@contextmanager
def answering(body, status=200):
    """An HTTP server that answers everything with the same bytes; its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"[]",
        b"{}",
        b'{"outputs": {"a": [[1], [2, 3]]}}',
        b'{"outputs": {"a": [null]}}',
        b'{"outputs": {"a": ["x", 1]}}',
        b'{"outputs": {"a": [{"b64": "@"}]}}',
        b'{"outputs": {"a": [{"c64": "eA=="}]}}',
    ],
)
def test_an_answer_that_is_none_is_said_to_be_none(body):
    with answering(body) as url, BlockingClient(url, timeout_seconds=10) as client:
        with pytest.raises(AnswerError):
            client.predict(ModelSpec("m", version=1), "x", np.zeros((1, 3), np.float32))
        with pytest.raises(AnswerError):
            client.metadata(ModelSpec("m"))
        with pytest.raises(AnswerError):
            client.statuses("m")


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (404, json.dumps({"error": "gone"}).encode(), Code.NOT_FOUND, "gone"),
        (502, b"<html>proxy</html>", Code.UNAVAILABLE, "HTTP 502"),
        (418, b"{}", Code.INTERNAL, "HTTP 418"),
    ],
)
def test_an_error_of_http_is_a_code(status, body, code, message):
    with (
        answering(body, status) as url,
        BlockingClient(url, timeout_seconds=10) as client,
        pytest.raises(CallError) as error,
    ):
        client.statuses("m")
    assert (error.value.code, error.value.message) == (code, message)


@pytest.mark.parametrize(
    "url", ["localhost:8500", "ftp://host:1", "grpc://", "dns:x", "http://host:85O1"]
)
def test_a_url_of_another_kind_is_named_in_the_error(url):
    with pytest.raises(ValueError, match=r"write grpc://host:8500 or http://host:8501") as error:
        BlockingClient(url, timeout_seconds=1)
    assert url in str(error.value)
