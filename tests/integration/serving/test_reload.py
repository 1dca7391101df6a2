"""HandleReloadConfigRequest on a running server."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.support.fixture_models import copy_version
from tests.support.model_server import models_config, running_model_server
from tests.support.processes import wait_until


@pytest.fixture(scope="module")
def base(tmp_path_factory, models):
    base = tmp_path_factory.mktemp("reload")
    for name in ("m", "added", "replacing"):
        copy_version(models, "m", 2, base / name / "2")
    (base / "broken" / "1").mkdir(parents=True)
    return base


@pytest.fixture(scope="module")
def client(base, connect):
    flags = ["--model_name=m", f"--model_base_path={base}/m", "--enable_reload_config"]
    with running_model_server(base, *flags) as server:
        yield connect(server.grpc_address)


def config(*models):
    return text_format.Parse(models_config(*models), model_server_config_pb2.ModelServerConfig())


def entry(base, name, more=""):
    return f'name: "{name}" base_path: "{base}/{name}" {more}'


def test_it_is_off_unless_enabled_and_the_refusal_names_the_flag(tmp_path, base, connect):
    flags = ["--model_name=m", f"--model_base_path={base}/m"]
    with running_model_server(tmp_path, *flags) as server:
        client = connect(server.grpc_address)
        for wanted in (config(entry(base, "m"), entry(base, "added")), config()):
            with pytest.raises(grpc.RpcError) as caught:
                client.reload(wanted)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
            assert "--enable_reload_config" in caught.value.details()
        assert client.states("m") == {2: "AVAILABLE"}
        with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
            client.states("added")


def test_an_added_model_answers_as_soon_as_the_call_returns(client, base, image):
    client.reload(config(entry(base, "m"), entry(base, "added")))
    assert client.predict("added", images=image)["version"] == 2
    client.reload(config(entry(base, "m"), entry(base, "added")))


def test_a_replaced_model_ends(client, base, image):
    client.reload(config(entry(base, "m"), entry(base, "replacing")))
    assert client.predict("replacing", images=image)["version"] == 2
    wait_until(lambda: client.states("added") == {2: "END"}, seconds=30)


def test_a_label_on_the_available_version_is_assigned(client, base, image):
    client.reload(config(entry(base, "m", 'version_labels { key: "stable" value: 2 }')))
    assert client.predict("m", images=image, label="stable")["version"] == 2


@pytest.mark.parametrize(
    ("models_of", "code", "details"),
    [
        (
            lambda _: ['name: "q" base_path: "models/m"'],
            grpc.StatusCode.INVALID_ARGUMENT,
            "Expected model q to have an absolute path or URI; got base_path()=models/m",
        ),
        (
            lambda base: [entry(base, "m"), entry(base, "m")],
            grpc.StatusCode.INVALID_ARGUMENT,
            "Illegal to list model m multiple times in config list",
        ),
        (
            lambda base: [entry(base, "m", 'version_labels { key: "a" value: 77 }')],
            grpc.StatusCode.FAILED_PRECONDITION,
            (
                "Request to assign label to version 77 of model m, which is not currently "
                "available for inference"
            ),
        ),
    ],
    ids=["relative path", "twice", "label"],
)
def test_what_cannot_be_served_is_refused_and_changes_nothing(
    client, base, image, models_of, code, details
):
    with pytest.raises(grpc.RpcError) as caught:
        client.reload(config(*models_of(base)))
    assert (code, details) == (caught.value.code(), caught.value.details())
    assert client.predict("m", images=image)["version"] == 2


def test_an_unknown_platform_is_refused(client, base):
    wanted = config(entry(base, "q"))
    wanted.model_config_list.config[0].model_platform = "onnx"
    with pytest.raises(grpc.RpcError) as caught:
        client.reload(wanted)
    assert caught.value.details() == "Model q requests unsupported platform onnx"


def test_an_empty_config_is_refused(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.reload(model_server_config_pb2.ModelServerConfig())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("name", ["nowhere", "broken"])
def test_a_model_that_cannot_load_keeps_the_caller_waiting(client, base, image, name):
    with pytest.raises(grpc.RpcError) as caught:
        client.reload(config(entry(base, "m"), entry(base, name)), seconds=1.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert client.predict("m", images=image)["version"] == 2
