"""A real gateway for the client, in front of a model server whose faults tests choose."""

import numpy as np
import pytest

from tests.support.fake_model_server import FakeVersion, running_fake
from tests.support.gateway import running_gateway
from tests.support.pictures import encoded


@pytest.fixture(scope="module")
def fake():
    with running_fake(demo={1: FakeVersion()}) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(fake):
    with running_gateway(fake.url) as running:
        yield running


@pytest.fixture(scope="session")
def photo():
    """A bright JPEG: class 3 of 4 for the fake."""
    return encoded(np.full((60, 80, 3), 200, np.uint8))
