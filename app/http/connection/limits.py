"""What one connection, and all together, may cost; the defaults are nginx's where it has one."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Final

from app.settings.gateway import Settings

RESERVED_FILES: Final = 256
"""Files, sockets and pipes kept for everything but clients: the model server, decoders, stdio."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds; sizes in bytes."""

    max_request_line_bytes: int
    max_header_bytes: int
    max_header_fields: int
    header_timeout_seconds: float
    """From a request's first byte to the end of its head."""
    keep_alive_seconds: float
    min_body_bytes_per_second: int
    write_timeout_seconds: float
    """How long a client may refuse to read what waits for it."""
    max_connections: int
    max_connections_per_client: int


def limits_of(settings: Settings) -> Limits:
    """The settings, with as many connections as the process may have files."""
    connections = min(settings.max_connections, max(1, _soft_limit() - RESERVED_FILES))
    per_client = settings.max_connections_per_client or max(1, connections // 2)
    return Limits(
        max_request_line_bytes=settings.max_request_line_bytes,
        max_header_bytes=settings.max_header_bytes,
        max_header_fields=settings.max_header_fields,
        header_timeout_seconds=settings.header_timeout_seconds,
        keep_alive_seconds=settings.keep_alive_seconds,
        min_body_bytes_per_second=settings.min_body_bytes_per_second,
        write_timeout_seconds=settings.write_timeout_seconds,
        max_connections=connections,
        max_connections_per_client=min(per_client, connections),
    )


def raise_file_limit() -> None:
    """Let this process open as many files as it is allowed to (`ulimit -Hn`), not the default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _soft_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 if soft == resource.RLIM_INFINITY else soft
