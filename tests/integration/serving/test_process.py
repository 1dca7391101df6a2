"""The process: start-up, ports, exit codes, signals."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import model_management_pb2
from tensorflow_serving.config import model_server_config_pb2

from tests.support.fixture_models import copy_version
from tests.support.model_server import models_config, running_model_server
from tests.support.processes import ROOT, python_module, wait_until


def wait_for_output(server, text):
    wait_until(lambda: text in server.output or not server.process.is_running)
    assert text in server.output


def run_serving(*flags):
    return subprocess.run(
        python_module("serving", *flags),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,  # it takes 5 s, and took 40 beside much else
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


@pytest.mark.parametrize("flag", ["--port", "--rest_api_port"])
def test_a_taken_port_exits_255(models, flag):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_serving(
            "--model_name=c", f"--model_base_path={models}/c", "--port=0", f"{flag}={port}"
        )
    assert result.returncode == 255
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr


def test_a_host_that_is_none_of_ours_exits_255_and_is_named(models):
    for flag in ("--port=0", "--rest_api_port=0"):  # the other port is the one to bind
        ports = {"--port": 1234, "--rest_api_port": 1235} | {flag.removesuffix("=0"): 0}
        result = run_serving(
            "--model_name=c",
            f"--model_base_path={models}/c",
            "--host=192.0.2.1",
            *(f"{name}={port}" for name, port in ports.items()),
        )
        assert result.returncode == 255
        assert "cannot listen on 192.0.2.1:123" in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="all of 127.0.0.0/8 is this machine on Linux")
@pytest.mark.parametrize(("flags", "is_open"), [([], False), (["--host=0.0.0.0"], True)])
def test_both_ports_keep_to_the_machine_unless_told_otherwise(tmp_path, models, flags, is_open):
    flags = ["--model_name=c", f"--model_base_path={models}/c", *flags]
    with running_model_server(tmp_path, *flags) as server:
        for port in (server.grpc_port, server.rest_port):
            with socket.socket() as other:
                assert (other.connect_ex(("127.0.0.2", port)) == 0) is is_open


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
        wait_until(lambda: server.is_listening)
        if sys.platform == "linux":  # Keras 3 comes with this library
            loaded = Path(f"/proc/{server.pid}/maps").read_text()
            assert "tensorflow" in loaded
            assert "optree" not in loaded
        assert server.stop() == 0


def test_a_server_that_waits_for_its_model_can_be_stopped(tmp_path):
    flags = ["--model_name=m", f"--model_base_path={tmp_path}/m"]
    with running_model_server(tmp_path, *flags, is_awaited=False) as server:
        wait_for_output(server, "Could not find base path")
        server.process.send(signal.SIGINT)
        assert server.process.wait(30) == 0


def with_a_model_that_never_loads(models, directory):
    config = model_server_config_pb2.ModelServerConfig()
    for name, base_path in (("t", models / "t"), ("never", directory)):
        config.model_config_list.config.add(
            name=name, base_path=str(base_path), model_platform="tensorflow"
        )
    return config


class SlowRest:
    """A REST request of which the server has read the head, and asked for the rest."""

    def __init__(self, server):
        self._body = json.dumps({"signature_name": "slow", "instances": [1.0]}).encode()
        self._socket = socket.create_connection(("127.0.0.1", server.rest_port), timeout=60)
        head = (
            "POST /v1/models/t:predict HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
            f"Content-Length: {len(self._body)}\r\nExpect: 100-continue\r\n\r\n"
        )
        self._socket.sendall(head.encode())
        assert self._socket.recv(100).startswith(b"HTTP/1.1 100")

    def finish(self):
        """The status line of the answer."""
        with self._socket:
            self._socket.sendall(self._body)
            return self._socket.makefile("rb").readline()


def start_slow_calls(client, pool, count):
    """Calls that the server has accepted: it takes those of a connection in their order."""
    x = np.ones(1, np.float32)
    calls = [
        client.prediction.Predict.future(client.request("t", "slow", x=x), timeout=60)
        for _ in range(count)
    ]
    pool.submit(client.states, "t").result(timeout=60)
    return calls


def test_sigterm_drains(tmp_path, models, connect):
    flags = [
        "--model_name=t",
        f"--model_base_path={models}/t",
        "--grpc_max_threads=16",
        "--enable_reload_config",
    ]
    with running_model_server(tmp_path, *flags) as server, ThreadPoolExecutor(2) as pool:
        client = connect(server.grpc_address)
        waiting = client.model.HandleReloadConfigRequest.future(
            model_management_pb2.ReloadConfigRequest(
                config=with_a_model_that_never_loads(models, tmp_path)
            )
        )
        rest = SlowRest(server)
        calls = start_slow_calls(client, pool, 3)
        server.process.send(signal.SIGTERM)
        wait_for_output(server, "draining")
        assert rest.finish() == b"HTTP/1.1 200 OK\r\n"
        for call in calls:
            assert call.result(timeout=60).model_spec.name == "t"
        assert isinstance(waiting.exception(timeout=30), grpc.RpcError)
        assert server.process.wait(30) == 0
        assert not server.is_listening


def test_a_second_signal_ends_the_process_at_once(tmp_path, models, connect):
    flags = ["--model_name=t", f"--model_base_path={models}/t", "--grpc_max_threads=16"]
    with running_model_server(tmp_path, *flags) as server, ThreadPoolExecutor(2) as pool:
        client = connect(server.grpc_address)
        calls = start_slow_calls(client, pool, 14)
        server.process.send(signal.SIGTERM)
        wait_for_output(server, "draining")
        server.process.send(signal.SIGTERM)
        assert server.process.wait(30) == -signal.SIGTERM
        outcomes = [call.exception(timeout=30) for call in calls]
        assert any(isinstance(outcome, grpc.RpcError) for outcome in outcomes)


def test_a_drain_ends_after_its_time(tmp_path, models, connect):
    flags = ["--model_name=t", f"--model_base_path={models}/t", "--drain_timeout_seconds=0.2"]
    with running_model_server(tmp_path, *flags) as server, ThreadPoolExecutor(2) as pool:
        calls = start_slow_calls(connect(server.grpc_address), pool, 7)
        server.process.send(signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert "still running after --drain_timeout_seconds" in server.output
        assert any(isinstance(call.exception(timeout=30), grpc.RpcError) for call in calls)
