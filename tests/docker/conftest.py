"""A real engine, the real images, the compose file that people get. Without an engine: skipped."""

import secrets

import docker
import docker.errors
import pytest

from tests.support import docker_images
from tests.support.docker_stack import Stack, compose_tool
from tests.support.keras_models import save_tiny_classifier

GERMAN = ["null", "eins", "zwei", "drei", "vier", "fuenf", "sechs", "sieben", "acht", "neun"]


def missing(request, message):
    if request.config.getoption("--require-docker"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def engine(request):
    try:
        client = docker.from_env(timeout=900)
        client.ping()
    except docker.errors.DockerException as error:
        missing(request, f"no Docker engine here: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def base(engine):
    return docker_images.base_image(engine)


@pytest.fixture(scope="session")
def images(engine, base):
    """target → tag"""
    return docker_images.build(engine, base)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """What the exporter's container sees as /weights: another model of ten classes, German labels."""
    folder = tmp_path_factory.mktemp("weights")
    save_tiny_classifier(folder / "other.keras", classes=10, side=32)
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

    def make(**settings):
        stack = Stack(
            engine,
            tool,
            f"sightserve-test-{secrets.token_hex(4)}",
            EXPORTER_IMAGE=images["exporter"],
            GATEWAY_IMAGE=images["gateway"],
            TF_SERVING_IMAGE=images["serving"],
            SERVING_IMAGE=images["serving"],
            MODEL="digits",
            WEIGHTS_DIR=str(weights),
            PORT="0",
            REST_PORT="0",
            **settings,
        )
        made.append(stack)
        return stack

    yield make
    for stack in made:
        stack.compose("--profile", "embedded", "down", "--volumes", "--remove-orphans", check=False)


@pytest.fixture(scope="session")
def stack(new_stack):
    """Up, with the digits published as version 1. Tests leave it so."""
    made = new_stack()
    made.up()
    return made
