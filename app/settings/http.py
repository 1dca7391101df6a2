"""What clients may send and hold open; of connections, as nginx limits them."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, model_validator

from app.settings.room import ForEachWorker, Room

_MEGABYTE: Final = 1_000_000


class HttpSettings(Room):
    """Of bodies and connections: see `app.http.buffers` and `app.http.connection.limits`."""

    max_body_bytes: int = Field(
        default=20 * _MEGABYTE, ge=1024, description="Largest request body of `/classify`."
    )
    max_batch_files: int = Field(
        default=32, ge=1, le=1024, description="Files in one `/classify/batch` request."
    )
    max_batch_body_bytes: int = Field(
        default=100 * _MEGABYTE, ge=1024, description="Largest request body of `/classify/batch`."
    )
    max_buffered_bytes: int = Field(
        default_factory=ForEachWorker(230 * _MEGABYTE),
        ge=1024,
        description="Request bodies held in memory, counted as they arrive, all together; more is "
        "refused with 429. One client may hold as much as is still free, at least one body.",
    )
    max_connections: int = Field(
        default_factory=ForEachWorker(1024),
        ge=1,
        le=1_000_000,
        description="Client connections open at a time; fewer where `ulimit -n` less 256 is lower. "
        "At the limit a new one takes the place of the one that has waited longest without a "
        "request; if all have requests it gets 503.",
    )
    max_connections_per_client: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Of these for one client address, in each of GATEWAY_WORKERS; more get 429. 0: "
        "half of all. A reverse proxy is one client.",
    )
    max_request_line_bytes: int = Field(
        default=8192, ge=64, le=1_000_000, description="Longest request line (URL); else 414."
    )
    max_header_bytes: int = Field(
        default=32_768,
        ge=256,
        le=1_000_000,
        description="All headers of a request together; else 431.",
    )
    max_header_fields: int = Field(
        default=100, ge=4, le=10_000, description="Headers of a request; else 431."
    )
    header_timeout_seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="From a request's first byte to the end of its headers; else 408.",
    )
    keep_alive_seconds: float = Field(
        default=75.0,
        gt=0,
        le=86_400,
        description="How long a connection may be idle. Longer than load balancers keep theirs "
        "(60 s), so that they close first: closed by us while they send would be their error.",
    )
    min_body_bytes_per_second: int = Field(
        default=1000,
        ge=0,
        description="Slowest body, on average after 5 s; else 408.",
    )
    write_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="A client that does not read its answer for so long is disconnected.",
    )

    @model_validator(mode="after")
    def _a_body_fits(self) -> Self:
        if max(self.max_body_bytes, self.max_batch_body_bytes) > self.max_buffered_bytes:
            raise ValueError(
                "GATEWAY_MAX_BUFFERED_BYTES must hold at least one body: raise it to "
                "GATEWAY_MAX_BODY_BYTES and GATEWAY_MAX_BATCH_BODY_BYTES"
            )
        return self
