"""A model server behind a UNIX socket: found, lost, and found again when it comes back."""

from __future__ import annotations

import pytest

from protocol.blocking import BlockingClient
from protocol.models import State
from tests.support.fake_model_server import FakeModelServer, FakeVersion
from tests.support.gateway import gateway_process, running_gateway
from tests.support.processes import wait_until


@pytest.fixture
def behind_socket(tmp_path):
    fake = FakeModelServer()
    fake.models["demo"] = {1: FakeVersion()}
    fake.socket_path = str(tmp_path / "model-server.sock")
    yield fake
    fake.stop()


def test_photos_are_classified_through_it_whoever_starts_first(behind_socket, photo):
    with running_gateway(f"grpc://unix:{behind_socket.socket_path}") as gateway:
        assert gateway.classify(photo).status_code == 503
        behind_socket.start()
        wait_until(lambda: gateway.classify(photo).status_code == 200, "it is found")
        behind_socket.stop()
        assert gateway.classify(photo).status_code == 503
        behind_socket.start()
        wait_until(lambda: gateway.classify(photo).status_code == 200, "it is found again")


def test_clients_of_the_model_server_take_the_same_url(behind_socket):
    behind_socket.start()
    url = f"grpc://unix:{behind_socket.socket_path}"
    with BlockingClient(url, timeout_seconds=10) as client:
        assert [each.state for each in client.statuses("demo")] == [State.AVAILABLE]


def test_a_file_that_is_no_socket_is_one_line_and_a_usage_error(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(AssertionError, match="is no socket") as raised,
        gateway_process(f"grpc://unix:{tmp_path}/file"),
    ):
        pass
    assert "GATEWAY_MODEL_SERVER_URL" in str(raised.value)
