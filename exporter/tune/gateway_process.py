"""A real gateway as a child process, for as long as one is measured through."""

from __future__ import annotations

import importlib.util
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx

from exporter.children import spawn, stop
from exporter.errors import FailedError
from exporter.proof.server_log import ServerLog

_POLL_SECONDS: Final = 0.1
_ASK_SECONDS: Final = 2.0

_GATEWAY: Final = f"{__name__.rpartition('exporter.')[0]}app"
"""Our neighbour, whatever package a wheel has put both into."""


def require_gateway() -> None:
    """Before anything long begins.

    Raises:
        FailedError: the gateway is not installed here.
    """
    needed = (f"{_GATEWAY}.main", "fastapi", "uvicorn")
    try:
        missing = [name for name in needed if importlib.util.find_spec(name) is None]
    except ModuleNotFoundError:
        missing = [_GATEWAY]
    if missing:
        raise FailedError(
            f"tune measures through a gateway, and {missing[0]} is not installed: use an "
            'environment with the extra "all"'
        )


@contextmanager
def running_gateway(
    model_server_url: str,
    model_name: str,
    environment: Mapping[str, str],
    *,
    start_timeout_seconds: float,
) -> Iterator[int]:
    """Serve until the context is left; GATEWAY_… variables of ours do not count.

    Yields:
        The port on 127.0.0.1.

    Raises:
        FailedError: it did not start, or was not ready in time.
    """
    with tempfile.TemporaryFile() as file:
        log, port = ServerLog(file), _free_port()
        process = spawn(
            [sys.executable, "-m", _GATEWAY, "--host", "127.0.0.1", "--port", str(port)],
            output=file,
            without="GATEWAY_",
            environment={
                "GATEWAY_MODEL_SERVER_URL": model_server_url,
                "GATEWAY_MODEL_NAME": model_name,
                "GATEWAY_LOG_LEVEL": "warning",
                **environment,
            },
        )
        try:
            deadline = time.monotonic() + start_timeout_seconds
            # Not by a proxy of the environment's: it would look for 127.0.0.1 on its own machine.
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=url, timeout=_ASK_SECONDS, trust_env=False) as client:
                while not _is_ready(client):
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise FailedError(f"the gateway did not become ready: {log.tail()}")
                    time.sleep(_POLL_SECONDS)
            yield port
        finally:
            stop(process)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
