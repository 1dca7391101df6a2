"""A real engine, the real images, the compose file that people get. Without an engine: skipped."""

import gc
import secrets
import warnings

import docker
import docker.errors
import pytest

from tests.deploy.project import compose_tool
from tests.docker import building
from tests.docker.stack import GERMAN, Stack
from tests.support.keras_models import save_tiny_classifier
from tests.support.processes import ROOT


def missing(request, message):
    if request.config.getoption("--require-docker"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def engine(request):
    client = connect()
    if client is None:
        missing(request, "no Docker engine answers here")
    yield client
    client.close()


def connect():
    """A client, or None. The package leaves its socket to the collector when nobody listens."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            client = docker.from_env(timeout=900)
            client.ping()
        except docker.errors.DockerException:
            client = None
        gc.collect()
    return client


@pytest.fixture(scope="session")
def base(engine):
    return building.base_image(engine)


@pytest.fixture(scope="session")
def images(engine, base):
    """target → tag"""
    return building.build(engine, base)


@pytest.fixture(scope="session")
def gateway_image(engine, base):
    """The gateway's alone, for tests that need no TensorFlow."""
    return building.build(engine, base, ("gateway",))["gateway"]


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """What the exporter's container sees as /weights: another model, with German labels."""
    folder = tmp_path_factory.mktemp("weights")
    save_tiny_classifier(folder / "flowers.keras", classes=10, side=32)
    (folder / "labels.txt").write_text("\n".join(GERMAN) + "\n")
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    for parent in folder.parents:
        if parent.name.startswith("pytest-"):
            parent.chmod(0o755)  # the container's user is nobody here
    return folder


@pytest.fixture(scope="session")
def new_stack(request, engine, images, weights):
    """Makes compose projects with our images; all of them are gone afterwards."""
    tool = compose_tool()
    if tool is None:
        missing(request, "neither docker-compose nor docker compose here")
    made = []
    models_config = weights / "models.config"
    models_config.write_text((ROOT / "models.config").read_text())
    models_config.chmod(0o644)

    def make(**settings):
        stack = Stack(
            engine,
            tool,
            f"sightserve-test-{secrets.token_hex(4)}",
            EXPORTER_IMAGE=images["exporter"],
            GATEWAY_IMAGE=images["gateway"],
            TF_SERVING_IMAGE=images["serving"],
            SERVING_IMAGE=images["serving"],
            SERVING_OPENVINO_IMAGE=images["serving-openvino"],
            MODEL="digits",
            WEIGHTS_DIR=str(weights),
            MODELS_CONFIG=str(models_config),
            PORT="0",
            REST_PORT="0",
            **settings,
        )
        made.append(stack)
        return stack

    yield make
    for stack in made:
        profiles = ("--profile", "embedded", "--profile", "openvino")
        stack.compose(*profiles, "down", "--volumes", "--remove-orphans", check=False)


@pytest.fixture(scope="session")
def stack(new_stack):
    """Up, with the digits published as version 1. Tests leave it so."""
    made = new_stack()
    made.up()
    return made
