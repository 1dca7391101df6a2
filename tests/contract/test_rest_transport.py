"""HTTP around the REST API, byte for byte, and the flags that change it."""

import json
import re
import socket
import urllib.request
from contextlib import suppress
from urllib.parse import urlsplit

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tests.support.model_server import models_config, running_model_server
from tests.support.processes import wait_until
from tests.support.raw_http import RawConnection, exchange, request_bytes

PREDICT = b'{"instances": [[1, 2, 3]]}'
DOUBLED = {"predictions": [[2.0, 4.0, 6.0]]}


def ask(url, method, path, body=None, version="1.1", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = request_bytes(method, path, headers=named, body=body, version=version)
    return exchange(url, raw, method=method)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("FOO /v1/models/t HTTP/1.1", 501),
        ("get /v1/models/t HTTP/1.1", 501),
        ("TRACE /v1/models/t HTTP/1.1", 501),
        ("GET /v1/models/m%zz HTTP/1.1", 400),
        ("GET /v1/models/\u00e9 HTTP/1.1", 400),
        ("GET  HTTP/1.1", 400),
        ("nonsense", 400),
        ("GET / HTTP/1.1", 404),
        ("GET * HTTP/1.1", 404),
    ],
)
def test_what_is_outside_the_api_gets_a_page_and_a_closed_connection(
    request_line, status, rest_url
):
    method = request_line.partition(" ")[0]
    raw = f"{request_line}\r\nHost: x\r\n\r\n".encode("latin-1")

    reply = exchange(rest_url, raw, method=method)

    assert status == reply.status
    assert reply.headers["content-type"] == "text/html"
    assert reply.headers["connection"] == "close"
    assert f"<TITLE>{status} ".encode() in reply.body


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/v1/models/nope#x", "nope#x"),
        ("/v1/models/nope?x=1&y=%2F", "nope?x=1&y=/"),
        ("/v1/models/nope?", "nope?"),
        ("http://other.example/v1/models/nope", "nope"),
    ],
)
def test_the_request_target_is_taken_as_it_is(target, name, rest_url):
    reply = ask(rest_url, "GET", target)

    assert json.loads(reply.body) == {"error": f"Could not find any versions of model {name}"}


def test_a_request_needs_no_host(rest_url):
    assert ask(rest_url, "GET", "/v1/models/t", Host=None).status == 200


def test_http_1_0_is_answered_and_closed(rest_url):
    reply = ask(rest_url, "POST", "/v1/models/t:predict", PREDICT, version="1.0")

    assert json.loads(reply.body) == DOUBLED


def test_head_has_no_body(rest_url):
    reply = ask(rest_url, "HEAD", "/v1/models/t")

    assert (reply.status, reply.body) == (400, b"")


def test_a_client_may_wait_for_the_go_ahead_before_its_body(rest_url):
    address = urlsplit(rest_url)
    head = request_bytes(
        "POST",
        "/v1/models/t:predict",
        headers={"Expect": "100-continue", "Content-Length": str(len(PREDICT))},
    )
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head)
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(PREDICT)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")


JAVA = (
    b"POST /v1/models/t:predict HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Content-Length: 26\r\nHost: 127.0.0.1:8077\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\nUpgrade: h2c\r\n"
    b"User-Agent: Java-http-client/17.0.15\r\nContent-Type: application/json\r\n\r\n"
) + PREDICT
CURL = (
    b"POST /v1/models/t:predict HTTP/1.1\r\nHost: 127.0.0.1:8077\r\nUser-Agent: curl/7.88.1\r\n"
    b"Accept: */*\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nContent-Type: application/json\r\n"
    b"Content-Length: 26\r\n\r\n"
) + PREDICT


@pytest.mark.parametrize("recorded", [JAVA, CURL], ids=["JDK 17's HttpClient", "curl --http2"])
@pytest.mark.parametrize("piece", [10**6, 100, 7])
def test_an_offer_to_upgrade_is_ignored_and_the_body_kept(recorded, piece, rest_url):
    with RawConnection(rest_url) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            client.send(*(recorded[i : i + piece] for i in range(0, len(recorded), piece)))
            reply = client.reply()
            assert (reply.status, json.loads(reply.body)) == (200, DOUBLED)


def test_nobody_is_connected_through(rest_url, is_ours):
    if not is_ours:
        pytest.skip("what a real server says to it is its own affair")
    raw = b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"
    assert exchange(rest_url, raw, method="CONNECT").status == 501


def test_offers_to_upgrade_may_be_pipelined(rest_url, is_ours):
    if not is_ours:
        pytest.skip("whether a real server answers pipelined requests is its own affair")
    with RawConnection(rest_url) as client:
        client.send(JAVA + CURL + JAVA)
        assert [json.loads(client.reply().body) for _ in range(3)] == [DOUBLED] * 3


def test_a_client_cannot_expect_anything_else(rest_url):
    reply = ask(rest_url, "POST", "/v1/models/t:predict", PREDICT, Expect="foo")

    assert (reply.status, reply.headers["content-type"]) == (417, "text/html")


def test_requests_may_follow_each_other_on_one_connection(rest_url):
    raw = request_bytes("POST", "/v1/models/t:predict", body=PREDICT)
    last = request_bytes(
        "POST", "/v1/models/t:predict", body=PREDICT, headers={"Connection": "close"}
    )
    address = urlsplit(rest_url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(raw + raw + last)
        received = b"".join(iter(lambda: connection.recv(65536), b""))

    assert received.count(b"HTTP/1.1 200 OK") == 3


def test_a_body_of_many_megabytes_is_read(rest_url):
    rows = [[0.5, 1.5, 2.5]] * 150_000

    reply = ask(rest_url, "POST", "/v1/models/t:predict", json.dumps({"inputs": rows}).encode())

    assert json.loads(reply.body)["outputs"][-1] == [1.0, 3.0, 5.0]


@pytest.mark.parametrize("depth", [100, 20_000, 200_000])
@pytest.mark.parametrize("prefix", [b"", b'{"instances": ', b'{"x": '])
def test_deep_nesting_is_a_bad_request(depth, prefix, rest_url, is_ours):
    if not is_ours and depth > 20_000:
        pytest.skip("crashes the real server")
    body = prefix + b"[" * depth + b"]" * depth + b"}" * bool(prefix)

    assert ask(rest_url, "POST", "/v1/models/t:predict", body).status == 400
    assert ask(rest_url, "POST", "/v1/models/t:predict", PREDICT).status == 200


def test_a_scalar_where_the_graph_wants_an_image_is_a_bad_request(rest_url, is_ours):
    if not is_ours:
        pytest.skip("crashes the real server")

    assert ask(rest_url, "POST", "/v1/models/m:predict", b'{"instances": [1]}').status == 400
    assert ask(rest_url, "POST", "/v1/models/t:predict", PREDICT).status == 200


@pytest.fixture(scope="session")
def is_ours(request):
    return not request.config.getoption("--model-server-url")


@pytest.fixture(scope="module")
def flagged(tmp_path_factory, models_directory):
    """Our server with CORS and metrics."""
    directory = tmp_path_factory.mktemp("flags")
    config = directory / "models.config"
    config.write_text(models_config(f'name: "t" base_path: "{models_directory}/t"'))
    monitoring = directory / "monitoring.config"
    monitoring.write_text('prometheus_config { enable: true path: "/metrics" }')
    with running_model_server(
        directory,
        f"--model_config_file={config}",
        f"--monitoring_config_file={monitoring}",
        "--rest_api_enable_cors_support",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def flagged_url(flagged):
    return flagged.rest_url


def test_a_model_that_takes_too_long_is_a_gateway_timeout(tmp_path, models_directory):
    body = b'{"signature_name": "slow", "instances": [1]}'
    flags = ["--model_name=t", f"--model_base_path={models_directory}/t"]

    with running_model_server(tmp_path, *flags, "--rest_api_timeout_in_ms=100") as impatient:
        reply = ask(impatient.rest_url, "POST", "/v1/models/t:predict", body)

    assert reply.status == 504
    assert json.loads(reply.body) == {"error": "Timed out waiting for notification"}


def test_the_cors_flag_adds_its_headers_and_answers_preflights(flagged_url):
    answer = ask(flagged_url, "POST", "/v1/models/t:predict", PREDICT, Origin="http://a.example")
    preflight = ask(
        flagged_url,
        "OPTIONS",
        "/v1/models/t:predict",
        Origin="http://a.example",
        Access_Control_Request_Method="POST",
    )

    for reply in (answer, preflight):
        assert reply.status == 200
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["access-control-allow-methods"] == "POST, GET"
        assert reply.headers["access-control-allow-headers"] == "Content-Type"


def test_metrics_count_what_was_asked(flagged_url):
    ask(flagged_url, "POST", "/v1/models/t:predict", PREDICT)

    with urllib.request.urlopen(f"{flagged_url}/metrics", timeout=30) as reply:  # noqa: S310 - ours
        text = reply.read().decode()
        assert reply.headers["content-type"] == "text/plain"

    assert ':tensorflow:serving:request_count{model_name="t",status="OK"}' in text
    assert ':runtime_latency_count{model_name="t",API="Predict",runtime="TF1"}' in text
    assert ":tensorflow:cc:saved_model:load_attempt_count{" in text


def test_metrics_count_grpc_requests_as_well(flagged):
    with grpc.insecure_channel(flagged.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        for name in ("t", "missing"):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0, 2.0, 3.0]]))
            with suppress(grpc.RpcError):
                stub.Predict(request, 30.0)

    def count(text, status):
        found = re.search(rf':request_count{{model_name="\w*",status="{status}"}} (\d+)', text)
        return int(found[1]) if found else 0

    def scrape():
        with urllib.request.urlopen(f"{flagged.rest_url}/metrics", timeout=30) as reply:  # noqa: S310 - ours
            return reply.read().decode()

    wait_until(lambda: count(scrape(), "NOT_FOUND") == 1, seconds=30, what="counting the failure")
    assert ':request_latency_count{model_name="t",API="Predict",entrypoint="GRPC"} 1' in scrape()
