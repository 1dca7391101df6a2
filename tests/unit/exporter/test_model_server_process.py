"""Which command the gate starts."""

import shutil
import sys

from exporter.proof.model_server_process import command_of


def test_the_configured_command_wins(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/tensorflow_model_server")
    assert command_of("docker run 'a b'") == ["docker", "run", "a b"]


def test_tensorflows_own_server_is_taken_from_the_path(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/{name}")
    assert command_of("") == ["/opt/tensorflow_model_server"]


def test_else_the_embedded_one_is(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert command_of("") == [sys.executable, "-m", "serving"]
