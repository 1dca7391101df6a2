"""Versions on disk to versions served, through a real server and its stubs."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import grpc
import pytest

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.engine import EngineOptions, import_engine
from tests.support.fixture_models import copy_version
from tests.support.model_server import models_config, running_model_server
from tests.support.processes import wait_until


@pytest.fixture(scope="module", params=["tensorflow", "openvino"])
def served(request, tmp_path_factory, models, connect):
    """A server of each engine that polls its disk and its config file every second."""
    base = tmp_path_factory.mktemp("life-cycle")
    copy_version(models, "m", 1, base / "base" / "1")
    config = base / "models.config"
    names: dict[str, str] = {}

    def configure():
        config.write_text(models_config(*names.values()))

    def add(name, *versions, more=""):
        for version in versions:
            copy_version(models, "m", min(version, 2), base / name / str(version))
        names[name] = f'name: "{name}" base_path: "{base / name}" {more}'
        configure()
        wait_until(lambda: is_available(client, name), seconds=60, what=f"{name} AVAILABLE")

    names["base"] = f'name: "base" base_path: "{base}/base"'
    configure()
    flags = [
        f"--engine={request.param}",
        f"--model_config_file={config}",
        "--model_config_file_poll_wait_seconds=1",
        "--max_num_load_retries=1",
        "--load_retry_interval_micros=200000",
    ]
    with running_model_server(base, *flags) as server:
        client = connect(server.grpc_address)
        yield SimpleNamespace(
            client=client,
            base=base,
            add=add,
            names=names,
            config=config,
            configure=configure,
            engine=request.param,
        )


def is_available(client, name):
    try:
        return "AVAILABLE" in client.states(name).values()
    except grpc.RpcError:
        return False


def has_states(client, name, expected):
    try:
        return client.states(name) == expected
    except grpc.RpcError:
        return False


def reach(client, name, expected):
    wait_until(lambda: has_states(client, name, expected), seconds=60, what=f"{name}: {expected}")


def test_a_swap_fails_no_request_and_never_goes_back(served, models, image):
    client = served.client
    served.add("swap", 1)
    copy_version(models, "m", 2, served.base / "swap" / "2")
    answered = []
    while answered[-5:] != [2] * 5 or len(answered) < 50:
        answer = client.predict("swap", images=image)
        assert answer["scores"][0, 0] == answer["version"]
        answered.append(answer["version"])
    assert answered == sorted(answered)
    reach(client, "swap", {2: "AVAILABLE", 1: "END"})
    assert list(client.states("swap")) == [2, 1]
    with pytest.raises(grpc.RpcError) as caught:
        client.predict("swap", images=image, version=1)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "Servable not found for request: Specific(swap, 1)"


def test_a_version_without_a_saved_model_ends_with_its_error(served, image):
    client = served.client
    served.add("half", 1)
    (served.base / "half" / "9").mkdir()
    reach(client, "half", {9: "END", 1: "AVAILABLE"})
    status = client.status("half", 9)
    assert status.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert status.error_message.startswith(
        "Specified file path does not appear to contain a SavedModel bundle"
    )
    assert client.predict("half", images=image)["version"] == 1


def test_deleting_the_served_version_falls_back_to_the_next_lower(served, image):
    client = served.client
    served.add("back", 1, 2)
    reach(client, "back", {2: "AVAILABLE"})
    shutil.rmtree(served.base / "back" / "2")
    reach(client, "back", {2: "END", 1: "AVAILABLE"})
    assert client.predict("back", images=image)["version"] == 1


def test_missing_variables_load_and_then_fail_every_predict(served, models, image):
    client = served.client
    shutil.copytree(models / "m" / "1", served.base / "bare" / "1")
    shutil.rmtree(served.base / "bare" / "1" / "variables")
    if served.engine == "openvino":  # it converts when it loads, and does not get that far
        with pytest.raises(ServingError, match="the engine openvino cannot run it") as refused:
            import_engine("openvino").load(str(served.base / "bare" / "1"), EngineOptions())
        assert refused.value.code is Code.UNIMPLEMENTED
        return
    served.add("bare")
    with pytest.raises(grpc.RpcError, match="Could not find variable"):
        client.predict("bare", images=image)


def test_policies_choose_among_the_versions_on_disk(served):
    served.add("two", 1, 2, 3, more="model_version_policy { latest { num_versions: 2 } }")
    reach(served.client, "two", {3: "AVAILABLE", 2: "AVAILABLE"})
    served.add("all", 1, 2, more="model_version_policy { all { } }")
    reach(served.client, "all", {2: "AVAILABLE", 1: "AVAILABLE"})


def test_an_edited_config_adds_and_removes_models_and_a_broken_one_is_ignored(served, image):
    client = served.client
    served.add("edited", 1)
    served.config.write_text("model_config_list { nonsense")
    assert client.predict("edited", images=image)["version"] == 1
    del served.names["edited"]
    served.configure()
    reach(client, "edited", {1: "END"})
    with pytest.raises(grpc.RpcError, match=r"Latest\(edited\)"):
        client.predict("edited", images=image)


def test_labels_name_versions(served, image):
    more = (
        "model_version_policy { all { } } "
        'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }'
    )
    served.add("labelled", 1, 2, more=more)

    def answering():
        try:
            return [
                served.client.predict("labelled", images=image, label=label)["version"]
                for label in ("stable", "canary")
            ]
        except grpc.RpcError:
            return None

    # A label waits until its version is available: the config is tried again at every poll.
    wait_until(lambda: answering() == [1, 2], seconds=60, what="both labels")
