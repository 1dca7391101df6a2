"""In which order a server starts; it listens nowhere here."""

from __future__ import annotations

import pytest

from protocol.codes import Code
from serving.core import memory
from serving.core.errors import ServingError
from serving.core.model_config import ServerConfig
from serving.options import Options
from serving.server import Server


@pytest.fixture
def frozen(monkeypatch):
    """Who was exempted from garbage collection by whom; the tests' own objects are not."""
    calls = []
    monkeypatch.setattr(memory, "keep_what_is_loaded", lambda: calls.append("freeze"))
    return calls


def test_the_engine_is_imported_at_the_start_and_then_kept_from_collections(frozen):
    server = Server(Options(port=0), ServerConfig(), engine=lambda: frozen.append("engine"))
    assert frozen == []
    server.start()
    server.stop()
    assert frozen == ["engine", "freeze"]


def test_an_engine_that_is_missing_ends_the_start_at_once(frozen):
    def engine():
        raise ServingError(Code.FAILED_PRECONDITION, "no engine")

    server = Server(Options(port=0), ServerConfig(), engine=engine)
    with pytest.raises(ServingError, match="no engine"):
        server.start()
    assert server.stop()
    assert frozen == []
