"""One model server for all recorded pairs: ours, or a real one given on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import fixture_models
from tests.support.model_server import models_config, running_model_server, wait_until_available


def pytest_addoption(parser):
    group = parser.getgroup("contract")
    group.addoption(
        "--model-server-url",
        help="REST URL of a server to test in place of ours, serving tests.support.fixture_models",
    )
    group.addoption("--model-server-grpc", help="gRPC address (host:port) of the same server")


@dataclass(frozen=True)
class ServerUnderTest:
    """Where the server answers. A side that was not given is None; its tests are skipped."""

    rest_url: str | None
    grpc_address: str | None


@pytest.fixture(scope="session")
def models_directory(tmp_path_factory, worker_id):
    return fixture_models.shared(tmp_path_factory, worker_id)


@pytest.fixture(scope="session")
def model_server(request, tmp_path_factory):
    """The server under test, serving m, mv, t and c."""
    rest_url = request.config.getoption("--model-server-url")
    grpc_address = request.config.getoption("--model-server-grpc")
    if rest_url or grpc_address:
        yield ServerUnderTest(rest_url, grpc_address)
        return
    models = request.getfixturevalue("models_directory")
    directory = tmp_path_factory.mktemp("contract")
    config = directory / "models.config"
    config.write_text(fixture_config(models))
    flags = [
        f"--model_config_file={config}",
        "--allow_version_labels_for_unavailable_models=true",
        "--enable_reload_config",
    ]
    with running_model_server(directory, *flags) as server:
        wait_until_available(server, "mv")
        yield ServerUnderTest(server.rest_url, server.grpc_address)


@pytest.fixture(scope="session")
def rest_url(model_server):
    return model_server.rest_url or pytest.skip("no --model-server-url given")


@pytest.fixture(scope="session")
def grpc_address(model_server):
    return model_server.grpc_address or pytest.skip("no --model-server-grpc given")


def fixture_config(models: Path) -> str:
    """The config that the recorded server ran with."""
    return models_config(
        f'name: "m" base_path: "{models}/m"',
        f'name: "mv" base_path: "{models}/m" '
        "model_version_policy { specific { versions: 1 versions: 2 } } "
        'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 }',
        f'name: "t" base_path: "{models}/t"',
        f'name: "c" base_path: "{models}/c"',
    )
