"""TensorFlow is the engine's: everything else imports, starts and serves without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from protocol.blocking import BlockingClient
from protocol.models import ModelSpec, State
from tests.support.processes import ROOT, answers, free_ports, python_module, running, wait_until

BLOCKED = ("tensorflow", "tensorflow_serving", "keras", "ml_dtypes")


@pytest.fixture
def environment(tmp_path):
    """In it, TensorFlow and what comes with it cannot be imported."""
    folder = tmp_path / "blocked"
    folder.mkdir()
    for name in BLOCKED:
        (folder / f"{name}.py").write_text(
            f'raise ModuleNotFoundError("No module named {name!r}", name={name!r})\n'
        )
    return {"PYTHONPATH": str(folder)}


@pytest.fixture
def base_path(tmp_path):
    (tmp_path / "model" / "1").mkdir(parents=True)
    return tmp_path / "model"


def run(command, environment):
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_protocol_and_the_server_import(environment):
    program = (
        "import importlib, pkgutil, protocol, serving.server, serving.__main__\n"
        "for each in pkgutil.walk_packages(protocol.__path__, 'protocol.'):\n"
        "    importlib.import_module(each.name)\n"
    )
    result = run([sys.executable, "-c", program], environment)
    assert (result.returncode, result.stderr) == (0, "")


WAITS_LATE = """
import signal, sys, time

def late(numbers, sigwait=signal.sigwait):
    time.sleep(1)
    return sigwait(numbers)

signal.sigwait = late
from serving.__main__ import main
sys.exit(main())
"""
SERVERS = [python_module("serving"), [sys.executable, "-c", WAITS_LATE]]


@pytest.mark.parametrize("server", SERVERS, ids=["as it is", "before it waits for signals"])
def test_the_server_says_what_is_missing_and_exits(environment, base_path, server):
    flags = ("--port=0", "--model_name=m", f"--model_base_path={base_path}")
    result = run([*server, *flags], environment)
    assert result.returncode == 255
    assert result.stderr == (
        "Failed to start server. Error: FAILED_PRECONDITION: the engine tensorflow cannot be "
        "imported: No module named 'tensorflow'; pip install 'sightserve[serving]' installs what "
        "it needs\n"
    )


def test_another_engine_serves(environment, base_path, tmp_path):
    grpc_port, rest_port = free_ports(2)
    command = python_module(
        "tests.support.doubling_server", str(grpc_port), str(rest_port), str(base_path)
    )
    rest_url = f"http://127.0.0.1:{rest_port}"
    with running(command, tmp_path / "log", **environment) as process:
        wait_until(lambda: answers(f"{rest_url}/", 404) or not process.is_running, process.output)
        for url in (rest_url, f"grpc://127.0.0.1:{grpc_port}"):
            with BlockingClient(url, timeout_seconds=30) as client:
                x = np.array([1.5, 2], np.float32)
                prediction = client.predict(ModelSpec("default"), "x", x, outputs=["y"])
                assert prediction.outputs["y"].tolist() == [3, 4]
                assert [each.state for each in client.statuses("default")] == [State.AVAILABLE]
        process.send(signal.SIGTERM)
        assert process.wait() == 0, process.output
