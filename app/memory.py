"""What the gateway promises to need at most, and whether its container lets it."""

from __future__ import annotations

from typing import Final

from app.settings.gateway import Settings

_GATEWAY_BYTES: Final = 160_000_000
"""The gateway's own process, rows and answers included, and the one that workers come from."""
_SUPERVISOR_BYTES: Final = 60_000_000
"""Where there are several gateway processes, the one that starts them."""
_WORKER_BYTES: Final = 8_000_000
"""A worker's own pages and the heap that it keeps, without the image: measured 2.4 MB and 4 MiB."""
_CONNECTION_BYTES: Final = 40_000
"""A connection at its most: a head that is as large as allowed, the request made of it. Measured:
30 kB with a request, 6 kB idle."""


def promised_bytes(settings: Settings) -> int:
    """Memory of all processes together that no client can make the gateway exceed."""
    workers = 2 * settings.decode_workers
    supervisor = _SUPERVISOR_BYTES if settings.workers > 1 else 0
    return (
        settings.workers * _GATEWAY_BYTES
        + supervisor
        + workers * _WORKER_BYTES
        + settings.max_buffered_bytes
        + settings.decode_memory_bytes
        + settings.max_connections * _CONNECTION_BYTES
    )


def shortage(settings: Settings, limit_bytes: int | None) -> str | None:
    """What to say if the container's limit is lower than that; None if all is well."""
    promised = promised_bytes(settings)
    if limit_bytes is None or limit_bytes >= promised:
        return None
    return (
        f"the memory limit of {limit_bytes // 1_000_000} MB is below the "
        f"{promised // 1_000_000} MB that these settings may need: lower "
        "GATEWAY_DECODE_MEMORY_BYTES or GATEWAY_MAX_BUFFERED_BYTES, or raise the limit"
    )
