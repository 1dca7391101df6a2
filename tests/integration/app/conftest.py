"""A model server whose faults tests choose, and gateways in front of it."""

import numpy as np
import pytest

from tests.support.api_keys import KEY, OTHER, hash_line
from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.fake_rest import rest_face
from tests.support.gateway import running_gateway
from tests.support.pictures import encoded


@pytest.fixture
def fake():
    with running_fake(demo={1: FakeVersion()}) as running:
        yield running


@pytest.fixture(params=["grpc", "rest"])
def model_server_url(request, fake):
    """The fake over each protocol in turn."""
    if request.param == "grpc":
        yield fake.url
        return
    with rest_face(fake) as url:
        yield url


@pytest.fixture
def gateway(fake):
    with running_gateway(fake.url) as running:
        yield running


@pytest.fixture(scope="session")
def photo():
    """A bright JPEG: class 3 of 4 for the fake."""
    return encoded(np.full((60, 80, 3), 200, np.uint8))


@pytest.fixture
def keys_file(tmp_path):
    """The keys of alice and bob."""
    path = tmp_path / "keys"
    path.write_text(hash_line("alice", KEY) + hash_line("bob", OTHER))
    return path
