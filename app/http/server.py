"""The process: uvicorn with our signals. Readiness first, then the requests in flight, then exit 0.

serving ──SIGTERM/SIGINT──► draining (/readyz 503, still serving) ──delay──► listener closed,
requests in flight finish (at most drain_timeout) ──► exit 0;  a second signal: exit now
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from app.http.services import Services
from app.log import get_logger
from app.settings import Settings

_KEEP_ALIVE_SECONDS = 75
"""Longer than load balancers keep idle connections (60 s), so that they close first: a connection
closed by us while they send on it would be an error of theirs."""


class Server(uvicorn.Server):
    """uvicorn, except for signals: its own would end the process by re-raising them."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(_config(app, settings))
        self._services: Services = app.state.services
        self._settings = settings
        self._drain: asyncio.Task[None] | None = None
        self._log = get_logger()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install the two handlers while serving."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for each in signals:
            loop.add_signal_handler(each, self._on_signal, each)
        try:
            yield
        finally:
            for each in signals:
                loop.remove_signal_handler(each)

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]  # passed through
        """As uvicorn's, then say where (the port may have been 0)."""
        await super().startup(sockets)  # type: ignore[arg-type]  # passed through
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._log.info(
                "listening",
                host=host,
                port=port,
                model_server=str(self._settings.model_server_url),
                models=list(self._settings.models),
            )

    def _on_signal(self, number: signal.Signals) -> None:
        if self._drain is not None:
            self.force_exit = self.should_exit = True
            return
        self._services.readiness.is_draining = True
        self._log.info("draining", signal=number.name)
        self._drain = asyncio.get_running_loop().create_task(self._stop_after_delay())

    async def _stop_after_delay(self) -> None:
        await asyncio.sleep(self._settings.drain_delay_seconds)
        self.should_exit = True


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody reads the client's address
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout_seconds)),
    )
