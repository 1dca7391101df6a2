"""Starting a model server that does not start: clear and in time."""

import shlex
import sys
import time

import pytest

from exporter import model_server
from exporter.errors import FailedError


def start(tmp_path, *command, timeout=30.0):
    with model_server.running_model_server(
        list(command), tmp_path, "m", start_timeout_seconds=timeout
    ):
        pytest.fail("it cannot be running")


def test_the_configured_command_wins(monkeypatch):
    monkeypatch.setattr(model_server.shutil, "which", lambda _: "/usr/bin/tensorflow_model_server")
    assert model_server.command_of("docker run 'a b'") == ["docker", "run", "a b"]


def test_tensorflows_own_server_is_taken_from_the_path(monkeypatch):
    monkeypatch.setattr(model_server.shutil, "which", lambda name: f"/opt/{name}")
    assert model_server.command_of("") == ["/opt/tensorflow_model_server"]


def test_else_the_embedded_one_is(monkeypatch):
    monkeypatch.setattr(model_server.shutil, "which", lambda _: None)
    assert model_server.command_of("") == [sys.executable, "-m", "serving"]


def test_a_server_that_ends_at_once_is_a_failure_with_its_last_words(tmp_path):
    code = "import sys; print('no such flag'); sys.exit(255)"
    with pytest.raises(FailedError, match="ended at once: no such flag"):
        start(tmp_path, sys.executable, "-c", code)


def test_a_server_that_never_listens_is_given_up_and_killed(tmp_path):
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    begun = time.monotonic()
    with pytest.raises(FailedError, match="did not load the version in time: it logged nothing"):
        start(tmp_path, sys.executable, "-c", code, timeout=1.5)
    assert time.monotonic() - begun < 15
    with pytest.raises(ProcessLookupError):
        model_server.os.kill(int(pid_file.read_text()), 0)


def test_a_command_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FailedError, match="nonexistent-model-server"):
        start(tmp_path, *shlex.split("/opt/nonexistent-model-server --quiet"))


def test_a_taken_port_is_tried_again(tmp_path):
    attempts = tmp_path / "attempts"
    code = (
        f"open({str(attempts)!r}, 'a').write('x');"
        "print('bind: Address already in use'); raise SystemExit(1)"
    )
    with pytest.raises(FailedError, match="in use"):
        start(tmp_path, sys.executable, "-c", code)
    assert attempts.read_text() == "xxx"
