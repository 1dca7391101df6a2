"""Servables without TensorFlow, and a manager that loads them."""

from __future__ import annotations

import threading

import pytest

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.core.manager import Manager
from serving.rest.app import create_rest_app
from tests.support.rest_app import Inference, Model, call


class FakeServable:
    def __init__(self, name="", signatures=None, run=None):
        self.name = name
        self.signatures = signatures or {}
        self.is_closed = False
        self._run = run

    def run(self, feeds, fetches, *, timeout_seconds=None):
        return self._run(feeds, fetches, timeout_seconds)

    def close(self):
        self.is_closed = True


class FakeEngine:
    """Loads FakeServables; paths in `broken` fail, paths in `gates` wait for their event."""

    def __init__(self):
        self.broken = set()
        self.gates = {}
        self.attempts = []
        self.loaded = {}

    def load(self, _model_name, _version, path):
        self.attempts.append(path)
        if path in self.gates:
            assert self.gates[path].wait(10)
        if path in self.broken:
            raise ServingError(Code.NOT_FOUND, f"nothing at {path}")
        self.loaded[path] = FakeServable(path)
        return self.loaded[path]

    def gate(self, path):
        self.gates[path] = threading.Event()
        return self.gates[path]


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def pauses():
    """How long the manager would have waited between load attempts."""
    return []


@pytest.fixture
def manager(engine, pauses):
    def pause(seconds):
        pauses.append(seconds)
        return False

    manager = Manager(engine.load, pause=pause)
    yield manager
    for gate in engine.gates.values():
        gate.set()
    manager.stop()


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def inference(model):
    return Inference(model)


@pytest.fixture
def ask(inference):
    """Send one request to an application with the given options."""

    async def send_request(method, path, body=b"", headers=None, **options):
        app = create_rest_app(inference, max_workers=1, **options)
        return await call(app, method, path, body, headers or {})

    return send_request
