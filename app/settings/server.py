"""Where the gateway listens, and how it stops."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, model_validator

from app.settings.room import Room, none_if_empty
from app.settings.service_links import is_service_url

_PORT: Final = 8000
MAX_WORKERS: Final = 64


def _port(value: Any) -> Any:
    return _PORT if is_service_url(value) else value


def _admin_port(value: Any) -> Any:
    return None if is_service_url(value) else none_if_empty(value)


class ServerSettings(Room):
    """Of the process and its listeners: see `app.http.server`."""

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. The default keeps the gateway to this machine; 0.0.0.0 "
        "opens it to the network (our container image does).",
    )
    port: Annotated[int, BeforeValidator(_port)] = Field(
        default=_PORT, ge=0, le=65_535, description="Port; 0 picks a free one."
    )
    admin_port: Annotated[int | None, BeforeValidator(_admin_port)] = Field(
        default=None,
        ge=0,
        le=65_535,
        description="A second port, without keys and limits, for `/metrics`, `/stats`, `/docs` and "
        "`/openapi.json`, which the first no longer answers; health is on both.",
    )
    admin_host: str = Field(
        default="", description="Address that it listens on. Default: GATEWAY_HOST."
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=MAX_WORKERS,
        description="Gateway processes that answer on the port, with a supervisor that starts and "
        "replaces them, for machines with more cores than one process can use. What bounds memory, "
        "connections and the queue counts for all of them together: each has its equal part.",
    )
    drain_delay_seconds: float = Field(
        default=0.0,
        ge=0,
        le=600,
        description="After SIGTERM: how long to keep serving with `/readyz` at 503, so that load "
        "balancers stop sending first. 5 on Kubernetes.",
    )
    drain_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="After the delay: how long requests in flight may take to finish.",
    )

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.admin_port and self.admin_port == self.port:
            raise ValueError("GATEWAY_ADMIN_PORT must be another port than GATEWAY_PORT")
        return self
