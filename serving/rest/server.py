"""Runs the REST application on a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading

import uvicorn

from protocol.codes import Code
from serving.core.errors import ServingError
from serving.rest.app import AsgiApp
from serving.rest.libevent import LibeventLikeProtocol

_log = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 300
_BACKLOG = 2048


class RestServer:
    """A listening HTTP server. `stop` drains."""

    def __init__(self, app: AsgiApp, port: int) -> None:
        """Bind, without answering yet.

        Raises:
            ServingError: UNAVAILABLE when the port is taken.
        """
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("0.0.0.0", port))
        except OSError as error:
            self._socket.close()
            raise ServingError(Code.UNAVAILABLE, f"cannot listen on 0.0.0.0:{port}") from error
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
