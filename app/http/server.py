"""The process: uvicorn with our signals. Readiness first, then the requests in flight, then exit 0.

serving ──SIGTERM/SIGINT──► draining (/readyz 503, still serving) ──delay──► listener closed,
requests in flight finish (at most drain_timeout) ──► exit 0;  a second signal: exit now

One of several workers hears SIGTERM, too, but its supervisor decides: it drains when that says so,
and a second signal is the supervisor's affair.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from app.access.addresses import TrustedProxies
from app.classify.readiness import Report
from app.figures import Figures
from app.http.connection.census import Census
from app.http.connection.limits import Limits, limits_of, raise_file_limit
from app.http.connection.protocol import Connection
from app.http.connection.shared import Shared, new_scratch
from app.http.ports import AdminPort
from app.http.services import Services
from app.http.stats import own_figures
from app.log import get_logger
from app.settings.gateway import Settings
from app.workers.member import Member

_SEND_BUFFER_BYTES: Final = 131_072
"""More than our largest answer. Linux grows it to 4 MB where a client does not read: 140 answers
computed for nobody, for each connection that pipelines."""
_ADMIN_CONNECTIONS: Final = 64
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

ProtocolFactory = Callable[[uvicorn.Config, ServerState, dict[str, Any]], Connection]
"""Called for each connection, as uvicorn calls it."""


class Server(uvicorn.Server):
    """uvicorn, except for signals: its own would end the process by re-raising them."""

    def __init__(self, app: FastAPI, settings: Settings, member: Member | None = None) -> None:
        raise_file_limit()
        super().__init__(server_config(app, settings))
        self._admin = None if settings.admin_port is None else admin_protocol(app, settings)
        self._services: Services = app.state.services
        self._settings = settings
        self._member = member
        self._signals = _SIGNALS if member is None else (signal.SIGTERM,)
        self._admin_servers: list[asyncio.base_events.Server] = []
        self._drain: asyncio.Task[None] | None = None
        self._ready_watch: asyncio.Task[None] | None = None
        """Says by itself when models answer and when not."""
        self._log = get_logger()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install the two handlers while serving."""
        loop = asyncio.get_running_loop()
        for each in self._signals:
            loop.add_signal_handler(each, self._on_signal, each)
        try:
            yield
        finally:
            for each in self._signals:
                loop.remove_signal_handler(each)

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]  # passed through
        """As uvicorn's, then say where (the port may have been 0)."""
        if self._member is not None:
            await self._member.join(self._account, self._on_stop)
        await super().startup(sockets)  # type: ignore[arg-type]  # passed through
        if self.started and self._admin is not None:
            await self._open_admin_port(self._admin)
        if self.started:
            _rest_garbage_collector()
            _bound_send_buffers(self.servers)
            self._say_where()
            self._ready_watch = asyncio.create_task(self._services.readiness.watch(self._measure))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        if self._ready_watch is not None:
            self._ready_watch.cancel()
        await super().shutdown(sockets)
        if self._member is not None:
            await self._member.leave()

    def _say_where(self) -> None:
        member = {} if self._member is None else {"worker": self._member.number}
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        for server in self._admin_servers:
            admin_host, admin_port = server.sockets[0].getsockname()[:2]
            self._log.info(
                "listening for administrators", host=admin_host, port=admin_port, **member
            )
        self._log.info(
            "listening",
            host=host,
            port=port,
            asks_for_keys=self._settings.api_keys_file is not None,
            model_server=str(self._settings.model_server_url),
            models=list(self._settings.models),
            **member,
        )

    def _account(self) -> tuple[str, Figures]:
        """What this worker has counted; nothing while others serve and it gets ready."""
        if not self.started:
            return "", Figures()
        return self._services.metrics.exposition().decode(), own_figures(self._services)

    def _measure(self, report: Report) -> None:
        self._services.metrics.model_server.ready(is_ready=report.is_ready)

    async def _open_admin_port(self, protocol: ProtocolFactory) -> None:
        """The second listener lives and drains with the first."""
        host, port = self._settings.admin_host or self._settings.host, self._settings.admin_port
        inherited = [] if self._member is None else self._member.admin_ports

        def factory() -> Connection:
            return protocol(self.config, self.server_state, self.lifespan.state)

        loop = asyncio.get_running_loop()
        try:
            self._admin_servers = (
                [await loop.create_server(factory, sock=each) for each in inherited]
                if inherited
                else [await loop.create_server(factory, host, port)]
            )
        except OSError as error:
            self._log.error("GATEWAY_ADMIN_PORT cannot be opened", detail=str(error))
            self.started, self.should_exit = False, True
            await self.shutdown()
            return
        self.servers.extend(self._admin_servers)

    def _on_signal(self, number: signal.Signals) -> None:
        if self._drain is None:
            self._log.info("draining", signal=number.name)
            self._begin_to_drain()
        elif self._member is None:
            self.force_exit = self.should_exit = True

    def _on_stop(self) -> None:
        if self._drain is None:
            self._begin_to_drain()

    def _begin_to_drain(self) -> None:
        self._services.readiness.is_draining = True
        self._drain = asyncio.get_running_loop().create_task(self._stop_after_delay())

    async def _stop_after_delay(self) -> None:
        await asyncio.sleep(self._settings.drain_delay_seconds)
        self.should_exit = True


def _rest_garbage_collector() -> None:
    """What is there now stays, so no full collection holds the event loop up to look at it."""
    gc.collect()
    gc.freeze()


def _bound_send_buffers(servers: list[asyncio.base_events.Server]) -> None:
    """Accepted sockets inherit it: the kernel would take megabytes for clients that never read."""
    for server in servers:
        for each in server.sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Our connections in uvicorn's life cycle; its own limits do not apply to them."""
    services: Services = app.state.services
    shared = _shared(app, services, limits_of(settings))
    services.metrics.http.watch_connections(lambda: shared.census.connections)
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=_factory(shared),  # type: ignore[arg-type]  # called like a class
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout_seconds)),
    )


def admin_protocol(app: FastAPI, settings: Settings) -> ProtocolFactory:
    """Connections of the second port: places of their own, so that it answers in a flood."""
    limits = replace(
        limits_of(settings),
        max_connections=_ADMIN_CONNECTIONS,
        max_connections_per_client=_ADMIN_CONNECTIONS,
    )
    return _factory(_shared(AdminPort(app), app.state.services, limits))


def _shared(app: ASGIApp, services: Services, limits: Limits) -> Shared:
    settings = services.settings
    return Shared(
        app,
        limits,
        Census(limits, refused=services.refusals.connection),
        services.gate,
        services.refusals,
        TrustedProxies(settings.trusted_proxies, settings.forwarding_header).share_of,
        new_scratch(),
    )


def _factory(shared: Shared) -> ProtocolFactory:
    def connection(
        config: uvicorn.Config,  # noqa: ARG001 - what it says is in `shared`
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> Connection:
        return Connection(shared, server_state, app_state)

    return connection
