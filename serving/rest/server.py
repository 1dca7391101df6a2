"""Runs the REST application on a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import ExitStack

import uvicorn

from protocol.codes import Code
from serving.core.addresses import host_and_port
from serving.core.errors import ServingError
from serving.rest.app import AsgiApp
from serving.rest.libevent import LibeventLikeProtocol

_log = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 300
_BACKLOG = 2048


class RestServer:
    """A listening HTTP server. `stop` drains."""

    def __init__(self, app: AsgiApp, host: str, port: int) -> None:
        """Bind, without answering yet.

        Raises:
            ServingError: UNAVAILABLE when the port is taken, or the host is none of this machine.
        """
        self._socket = _bound(host, port)
        config = uvicorn.Config(
            app,
            http=LibeventLikeProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="rest"
        )

    def start(self) -> None:
        """Answer requests."""
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting now; requests in flight go on."""
        self._server.should_exit = True

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the last request; False when the time is up before."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with ExitStack() as undo:
            bound = undo.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            undo.pop_all()
    except OSError as error:
        where = host_and_port(host, port)
        raise ServingError(Code.UNAVAILABLE, f"cannot listen on {where}") from error
    return bound
