"""What the gRPC side of a server does beside answering: limits, TLS, sockets, health."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import predict_pb2

from protocol.blocking import BlockingClient
from protocol.client import CallError
from protocol.codes import Code
from protocol.models import State
from protocol.tls import Tls
from tests.support.certificates import Authority
from tests.support.model_server import running_model_server

ONE = np.ones(1, np.float32)


@pytest.fixture(scope="module")
def socket_path(tmp_path_factory):
    return tmp_path_factory.mktemp("socket") / "grpc.sock"


@pytest.fixture(scope="module")
def client(tmp_path_factory, models, connect, socket_path):
    flags = [
        "--model_name=t",
        f"--model_base_path={models}/t",
        f"--grpc_socket_path={socket_path}",
        "--grpc_max_threads=2",
        "--enable_grpc_healthcheck_service",
        "--enable_serialization_as_tensor_content",
        "--tensorflow_session_parallelism=1",
    ]
    with running_model_server(tmp_path_factory.mktemp("grpc"), *flags) as server:
        yield connect(server.grpc_address)


def test_requests_beyond_the_threads_are_refused(client):
    def outcome(_):
        try:
            client.predict("t", "slow", x=ONE)
        except grpc.RpcError as error:
            return error.code(), error.details()
        return None

    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(outcome, range(12)))
    assert None in outcomes
    refused = set(outcomes) - {None}
    assert refused == {(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")}


def test_a_deadline_ends_the_call_and_the_server_goes_on(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.predict("t", "slow", x=ONE, seconds=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert client.predict("t", x=np.ones((1, 3)).astype(np.float32))["y"].tolist() == [[2, 2, 2]]


def test_the_unix_socket_answers_too(client, connect, socket_path):
    assert client.states("t") == {1: "AVAILABLE"}
    assert connect(f"unix:{socket_path}").states("t") == {1: "AVAILABLE"}


def test_health_is_serving(client):
    answer = health_pb2_grpc.HealthStub(client.channel).Check(
        health_pb2.HealthCheckRequest(), timeout=30
    )
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_answers_are_tensor_content_when_asked_for(client, make_request):
    x = np.arange(3, dtype=np.float32).reshape(1, 3)
    response = client.prediction.Predict(make_request("t", x=x), timeout=30)
    assert response.outputs["y"].tensor_content == (2 * x).tobytes()
    assert not response.outputs["y"].float_val


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_are_read(client, make_request, compression):
    x = np.zeros((1000, 3), np.float32)
    response = client.prediction.Predict(
        make_request("t", x=x), timeout=30, compression=compression
    )
    assert response.outputs["y"].tensor_shape.dim[0].size == 1000


def test_requests_may_be_larger_than_four_megabytes(client):
    x = np.ones((700_000, 3), np.float32)
    with pytest.raises(grpc.RpcError) as caught:
        client.predict("t", "fail", x=x.astype(np.float64))
    assert caught.value.details() == "Expects arg[0] to be float but double is provided"


@pytest.mark.parametrize(
    "method",
    ["/tensorflow.serving.SessionService/SessionRun", "/tensorflow.serving.PredictionService/No"],
)
def test_unknown_methods_are_unimplemented(client, method):
    with pytest.raises(grpc.RpcError) as caught:
        client.channel.unary_unary(method)(b"", timeout=30)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, "")


def test_bytes_that_are_no_request_are_an_error_not_a_crash(client):
    call = client.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"\xff\xff\xff", timeout=30)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert client.states("t") == {1: "AVAILABLE"}


def test_a_long_error_is_cut(client):
    name = "n" * 5000
    with pytest.raises(grpc.RpcError) as caught:
        client.predict(name, x=ONE)
    text = f"Servable not found for request: Latest({name})"
    assert caught.value.details() == text[:1024] + "...TRUNCATED"


def quoted(path):
    return '"' + path.read_text().replace("\n", "\\n") + '"'


def test_tls_and_client_certificates(tmp_path, models, connect):
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    shown = ours.sign("server", "DNS:localhost")
    known, strange = ours.sign("known"), other.sign("strange")
    config = tmp_path / "ssl.config"
    one_way = f"server_key: {quoted(shown.key)}\nserver_cert: {quoted(shown.certificate)}\n"
    flags = ["--model_name=c", f"--model_base_path={models}/c", f"--ssl_config_file={config}"]

    def states(server, certificate):
        tls = Tls.load(
            ours.certificate,
            certificate and certificate.certificate,
            certificate and certificate.key,
        )
        url = f"grpcs://localhost:{server.grpc_port}"
        with BlockingClient(url, timeout_seconds=10, tls=tls) as client:
            try:
                return client.statuses("c")[0].state
            except CallError as error:
                return error.code

    config.write_text(one_way)
    with running_model_server(tmp_path, *flags) as server:
        assert [states(server, None), states(server, known)] == [State.AVAILABLE] * 2
        with pytest.raises(grpc.RpcError):
            connect(server.grpc_address).states("c")
    config.write_text(f"{one_way}custom_ca: {quoted(ours.certificate)}\nclient_verify: true\n")
    with running_model_server(tmp_path, *flags) as server:
        assert states(server, known) is State.AVAILABLE
        assert [states(server, None), states(server, strange)] == [Code.UNAVAILABLE] * 2


def test_an_empty_message_is_a_request(client):
    call = client.channel.unary_unary(
        "/tensorflow.serving.PredictionService/Predict",
        response_deserializer=predict_pb2.PredictResponse.FromString,
    )
    with pytest.raises(grpc.RpcError, match="Missing ModelSpec"):
        call(b"", timeout=30)
