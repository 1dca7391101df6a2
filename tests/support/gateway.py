"""A real gateway inside a test: uvicorn in a thread on a free port, or a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import structlog
import uvicorn

from app.http.server import server_config
from app.main import create_app
from app.settings.gateway import Settings
from tests.support.documented import check_documented
from tests.support.processes import wait_until

START_SECONDS = 20.0


@dataclass
class Gateway:
    """A running gateway and a client for it."""

    url: str
    client: httpx.Client
    services: Any = None

    def classify(self, data: bytes, **params: Any) -> httpx.Response:
        return self.client.post("/classify", files={"file": ("photo", data)}, params=params)


def settings(model_server_url: str, **changes: Any) -> Settings:
    values = {"model_server_url": model_server_url, "model_name": "demo", "decode_workers": 2}
    return Settings(**(values | changes))


@contextmanager
def running_gateway(model_server_url: str, **changes: Any) -> Iterator[Gateway]:
    """The gateway in this process, over a real socket."""
    values = settings(model_server_url, host="127.0.0.1", port=0, **changes)
    # Rich's tracebacks, with all locals, hold the event loop up for seconds.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, plain])
    app = create_app(values)
    server = uvicorn.Server(server_config(app, values))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, "the gateway starts")
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        with client_for(url) as client:
            client.event_hooks["response"] = [check_documented]
            yield Gateway(url, client, app.state.services)
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)


def client_for(url: str) -> httpx.Client:
    """A client that reads neither proxies nor CA certificates (slow, and not needed here)."""
    return httpx.Client(base_url=url, timeout=30, trust_env=False, verify=False)  # noqa: S501


@dataclass
class GatewayProcess:
    """`python -m app` as a subprocess."""

    url: str
    process: subprocess.Popen[str]
    client: httpx.Client
    started_seconds: float
    log: list[str]

    def terminate(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(START_SECONDS)


@contextmanager
def gateway_process(
    model_server_url: str,
    *,
    command: Sequence[str] = ("-m", "app", "--port", "0", "--host", "127.0.0.1"),
    **environment: str,
) -> Iterator[GatewayProcess]:
    """The gateway as users start it, on a free port; its log is read line by line."""
    started_at = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *command],
        env={
            **os.environ,
            "GATEWAY_MODEL_SERVER_URL": model_server_url,
            "GATEWAY_MODEL_NAME": "demo",
            "GATEWAY_LOG_FORMAT": "json",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log: list[str] = []
    # A full pipe would stop the gateway: somebody has to read all the time.
    reader = threading.Thread(target=_collect, args=(process, log), daemon=True)
    reader.start()
    try:
        port = _listening_port(process, log)
        url = f"http://127.0.0.1:{port}"
        with client_for(url) as client:
            yield GatewayProcess(url, process, client, time.monotonic() - started_at, log)
    finally:
        process.kill()
        process.wait()
        reader.join()
        if process.stdout is not None:
            process.stdout.close()


def _collect(process: subprocess.Popen[str], log: list[str]) -> None:
    assert process.stdout is not None
    log.extend(process.stdout)


def _listening_port(process: subprocess.Popen[str], log: list[str]) -> int:
    def find() -> re.Match[str] | None:
        lines = [line for line in log if '"listening"' in line]
        return re.search(r'"port": (\d+)', lines[0]) if lines else None

    wait_until(lambda: find() or process.poll() is not None, "the gateway listens")
    found = find()
    assert found is not None, "the gateway ended: " + "".join(log)
    return int(found[1])


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process, Linux."""
    return memory_megabytes(pid, "VmRSS")


def memory_megabytes(pid: int, kind: str) -> float:
    """Memory of a process, Linux: VmRSS (resident now), VmHWM (at its peak)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) / 1000
    raise AssertionError(f"no {kind}")
