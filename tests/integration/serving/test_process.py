"""The process: start-up, ports, exit codes, signals."""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import numpy as np
import pytest

from tests.support.fixture_models import copy_version
from tests.support.model_server import models_config, running_model_server
from tests.support.processes import ROOT, python_module, wait_until


def wait_for_output(server, text):
    wait_until(lambda: text in server.output or not server.process.is_running, seconds=30)
    assert text in server.output


def run_serving(*flags):
    return subprocess.run(
        python_module("serving", *flags),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_no_model_flag_exits_255_and_says_why():
    result = run_serving()
    assert result.returncode == 255
    assert "Failed to start server. Error: INVALID_ARGUMENT: " in result.stderr


def test_a_flag_value_that_does_not_parse_exits_255():
    result = run_serving("--port=abc")
    assert result.returncode == 255
    assert (
        "Failed to start server. Error: INVALID_ARGUMENT: "
        "Couldn't interpret value abc for flag port." in result.stderr
    )


def test_a_label_on_an_unavailable_version_exits_255(tmp_path, models):
    config = tmp_path / "models.config"
    config.write_text(
        models_config(
            f'name: "m" base_path: "{models}/m" version_labels {{ key: "stable" value: 1 }}'
        )
    )
    result = run_serving(f"--model_config_file={config}", "--port=0")
    assert result.returncode == 255
    assert (
        "Failed to start server. Error: FAILED_PRECONDITION: Request to assign label to version "
        "1 of model m, which is not currently available for inference" in result.stderr
    )


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_answer_without_a_model(flag):
    result = run_serving(flag)
    assert result.returncode == 0
    assert result.stdout.strip()


def test_ports_open_only_when_the_model_is_available(tmp_path, models):
    flags = ["--model_name=m", f"--model_base_path={tmp_path}/m", "--enable_profiler", "--what=1"]
    with running_model_server(tmp_path, *flags, is_awaited=False) as server:
        wait_for_output(server, "Could not find base path")
        assert not server.is_listening
        assert "without effect here: --enable_profiler" in server.output
        assert "unknown flags: --what=1" in server.output
        copy_version(models, "m", 1, tmp_path / "m" / "1")
        wait_until(lambda: server.is_listening, seconds=30)
        assert server.stop() == 0


def test_a_server_that_waits_for_its_model_can_be_stopped(tmp_path):
    flags = ["--model_name=m", f"--model_base_path={tmp_path}/m"]
    with running_model_server(tmp_path, *flags, is_awaited=False) as server:
        wait_for_output(server, "Could not find base path")
        server.process.send(signal.SIGINT)
        assert server.process.wait(30) == 0


def slow_rest(server):
    body = {"signature_name": "slow", "instances": [1.0]}
    httpx.post(f"{server.rest_url}/v1/models/t:predict", json=body, timeout=60).raise_for_status()


def test_sigterm_drains(tmp_path, models, connect):
    flags = ["--model_name=t", f"--model_base_path={models}/t"]
    with running_model_server(tmp_path, *flags) as server, ThreadPoolExecutor(4) as pool:
        client = connect(server.grpc_address)
        x = np.ones(1, np.float32)
        client.predict("t", "slow", x=x)
        in_flight = [
            pool.submit(client.predict, "t", "slow", x=x),
            pool.submit(client.predict, "t", "slow", x=x),
            pool.submit(slow_rest, server),
        ]
        time.sleep(0.2)  # the requests are under way
        server.process.send(signal.SIGTERM)
        for future in in_flight:
            future.result(timeout=60)
        assert server.process.wait(30) == 0
        assert not server.is_listening


def test_a_second_signal_ends_the_process_at_once(tmp_path, models, connect):
    flags = ["--model_name=t", f"--model_base_path={models}/t", "--grpc_max_threads=16"]
    with running_model_server(tmp_path, *flags) as server, ThreadPoolExecutor(12) as pool:
        client = connect(server.grpc_address)
        x = np.ones(1, np.float32)
        in_flight = [pool.submit(client.predict, "t", "slow", x=x) for _ in range(12)]
        time.sleep(0.3)  # the requests are under way
        server.process.send(signal.SIGTERM)
        wait_until(lambda: "draining" in server.output, seconds=10)
        time.sleep(0.1)  # the signals are let through again
        server.process.send(signal.SIGTERM)
        assert server.process.wait(5) == -signal.SIGTERM
        outcomes = [future.exception(timeout=30) for future in in_flight]
        assert any(isinstance(outcome, grpc.RpcError) for outcome in outcomes)
