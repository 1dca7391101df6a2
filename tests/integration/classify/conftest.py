"""A real gateway and a folder of files for the command."""

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


@pytest.fixture
def folder(tmp_path):
    """Three photos that are classes 0, 1 and 3, one in a folder inside; and what is no photo."""
    path = tmp_path / "photos"
    (path / "more").mkdir(parents=True)
    for name, level in {"a.png": 10, "b.png": 100, "more/c.png": 200}.items():
        (path / name).write_bytes(encoded(np.full((20, 20, 3), level, np.uint8), "PNG"))
    (path / "d.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (path / "notes.txt").write_text("hello")
    return path
