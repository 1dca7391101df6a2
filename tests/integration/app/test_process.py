"""`python -m app` as a process: starting, refusing, stopping, and what it never loads."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from tests.support.gateway import client_for, gateway_process, resident_megabytes, wait_until
from tests.support.pictures import encoded

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_says_what_it_is_and_where_the_settings_are():
    result = run("-m", "app", "--help")
    assert result.returncode == 0
    for words in ("--model-server-url", "docs/configuration.md", "GATEWAY_", "SIGTERM"):
        assert words in result.stdout


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "GATEWAY_MODEL_NAME is not set"),
        ({"GATEWAY_MODEL_NAME": "m", "GATEWAY_PORT": "x"}, "GATEWAY_PORT: "),
        ({"GATEWAY_MODEL_NAME": "m", "GATEWAY_MODEL_SERVER_URL": "host"}, "GATEWAY_MODEL_SERVER"),
    ],
)
def test_bad_settings_are_one_line_and_exit_2(environment, message):
    result = run("-m", "app", **environment)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_a_port_in_use_is_an_error_not_a_traceback(fake):
    with gateway_process(fake.url) as gateway:
        port = gateway.url.rsplit(":", 1)[1]
        first = run("-m", "app", "--port", port, "--host", "127.0.0.1", GATEWAY_MODEL_NAME="demo")
        second = run("-m", "app", "--port", "0", GATEWAY_MODEL_NAME="demo", GATEWAY_ADMIN_PORT=port)
    for result in (first, second):
        assert result.returncode == 3
        assert "address already in use" in result.stdout + result.stderr
        assert "Traceback" not in result.stdout + result.stderr


def test_the_gateway_never_loads_tensorflow():
    code = """
import sys
for name in ("tensorflow", "tensorflow_serving", "keras"):
    sys.modules[name] = None
import app.main, app.http.server, protocol.grpc_client, protocol.rest_client, protocol.blocking
assert not [name for name in sys.modules if name.startswith(("tensorflow.", "keras.", "sklearn"))]
"""
    result = run("-c", code)
    assert (result.returncode, result.stderr) == (0, "")


def test_what_sends_traces_is_loaded_only_where_it_is_switched_on():
    code = """
import sys
import app.http.server
from app.main import create_app
from app.settings.gateway import Settings
create_app(Settings(model_name="m"))
assert "opentelemetry.sdk" not in sys.modules
create_app(Settings(model_name="m", otel=True))
assert "opentelemetry.sdk" in sys.modules
"""
    result = run("-c", code)
    assert (result.returncode, result.stderr) == (0, "")


def test_only_the_protocol_in_use_is_loaded():
    code = """
import sys
from app.main import create_app
from app.settings.gateway import Settings
create_app(Settings(model_name="m", model_server_url="http://localhost:1"))
assert "grpc" not in sys.modules
create_app(Settings(model_name="m", model_server_url="grpc://localhost:1"))
assert "grpc" in sys.modules
"""
    others = """
import sys
from app.main import create_app
from app.settings.gateway import Settings
create_app(Settings(model_name="m", model_server_url="grpc://localhost:1"))
assert "httpx" not in sys.modules
"""
    for each in (code, others):
        result = run("-c", each)
        assert (result.returncode, result.stderr) == (0, "")


def test_an_image_that_no_decoder_can_make_is_refused_at_the_start(tmp_path):
    path = tmp_path / "models.toml"
    for image in ('filter = "lanczos", antialias = false', "background = [300, 0, 0]"):
        path.write_text(f"[models.m]\nimage = {{ {image} }}\n")
        result = run("-m", "app", GATEWAY_MODEL_NAME="m", GATEWAY_MODELS_FILE=str(path))
        assert result.returncode == 2
        assert result.stderr.startswith(f"error: GATEWAY_MODELS_FILE: {path}: models.m.image")
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_turns_readiness_first_and_lets_requests_finish(fake, photo, number):
    with (
        gateway_process(fake.url, GATEWAY_DRAIN_DELAY_SECONDS="4") as gateway,
        client_for(gateway.url) as prober,
        ThreadPoolExecutor(1) as thread,
    ):
        assert prober.get("/readyz").status_code == 200
        with fake.held():
            seen = fake.calls["predict"]
            pending = thread.submit(gateway.client.post, "/classify", files={"file": photo})
            wait_until(lambda: fake.calls["predict"] > seen, "the request is in flight")
            gateway.process.send_signal(number)
            wait_until(lambda: prober.get("/readyz").status_code == 503, "not ready")
        assert pending.result().status_code == 200
        assert gateway.process.wait(30) == 0
    log = "".join(gateway.log)
    assert "Traceback" not in log
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{gateway.url}/livez", trust_env=False)


def test_each_request_is_one_json_line_with_its_facts(fake, photo):
    with gateway_process(fake.url) as gateway:
        gateway.client.post(
            "/classify?top_k=1", files={"file": photo}, headers={"X-Request-Id": "a"}
        )
        gateway.client.post("/classify", files={"file": b"junk"}, headers={"X-Request-Id": "b"})
        gateway.client.get("/livez")
        gateway.terminate()
    lines = [json.loads(line) for line in gateway.log]
    good, bad = [line for line in lines if line["event"] == "request"]
    expected = {
        "request_id": "a", "method": "POST", "route": "/classify", "status": 200, "model": "demo",
        "version": 1, "batch_size": 1, "image_bytes": len(photo), "level": "info",
    }  # fmt: skip
    assert {key: good[key] for key in expected} == expected
    assert {"duration_ms", "decode_ms", "queue_ms", "inference_ms", "timestamp"} <= good.keys()
    assert (bad["status"], bad["problem"], bad["level"]) == (422, "invalid-image", "info")


def test_a_malformed_form_is_one_line_not_the_parsers_too(fake):
    headers = {"Content-Type": "multipart/form-data; boundary=frontier"}
    with gateway_process(fake.url) as gateway:
        response = gateway.client.post("/classify", content=b"--front1er\r\n", headers=headers)
        assert response.status_code == 400
        gateway.terminate()
    lines = [json.loads(line) for line in gateway.log]
    assert [line for line in lines if "python_multipart" in line.get("logger", "")] == []
    assert [line["status"] for line in lines if line["event"] == "request"] == [400]


def test_probes_are_silent_and_readiness_logs_its_changes_once(fake):
    fake.models["demo"][1].fault = (grpc.StatusCode.INTERNAL, "Could not find variable dense")
    with gateway_process(fake.url) as gateway:

        def probe():
            return gateway.client.get("/readyz").status_code

        assert [probe() for _ in range(20)] == [503] * 20
        fake.models["demo"][1].fault = None
        wait_until(lambda: probe() == 200, "ready", seconds=20)
        assert [probe() for _ in range(20)] == [200] * 20
        gateway.terminate()
    lines = [json.loads(line) for line in gateway.log]
    assert [(line["event"], line["level"]) for line in lines if "ready" in line["event"]] == [
        ("not ready", "warning"),
        ("ready", "info"),
    ]
    assert [line for line in lines if line.get("route") == "/readyz"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and tames glibc's malloc")
def test_memory_is_given_back_after_large_uploads(fake, photo):
    large_png = encoded(np.zeros((5000, 6000, 3), np.uint8), "PNG")
    with gateway_process(fake.url) as gateway:

        def send(data):
            headers = {"Content-Type": "application/octet-stream"}
            return gateway.client.post("/classify", content=data, headers=headers).status_code

        assert [send(photo) for _ in range(20)] == [200] * 20
        before = resident_megabytes(gateway.process.pid)
        assert [send(bytes(19_000_000)) for _ in range(3)] == [422] * 3
        assert [send(bytes(30_000_000)) for _ in range(3)] == [413] * 3
        assert [send(large_png) for _ in range(3)] == [200] * 3
        assert send(photo) == 200
        wait_until(lambda: resident_megabytes(gateway.process.pid) < before + 15, "memory is back")
