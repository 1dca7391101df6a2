"""When bytes reached this machine: they may have waited in the socket until somebody read them."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from typing import Final

_LAST_DATA_RECEIVED: Final = struct.Struct("=52xI")
"""Of Linux's tcp_info: tcpi_last_data_recv, the age of the newest data in milliseconds."""


def arrival_of_data(transport: asyncio.Transport) -> float:
    """When the newest bytes of a connection arrived, on time.monotonic; now, if that is unknown.

    When the event loop is late, requests queue in the kernel, where no clock of ours runs.
    """
    return time.monotonic() - _age_of_data(transport)


def _age_of_data(transport: asyncio.Transport) -> float:
    if sys.platform != "linux":
        return 0.0
    try:
        info = transport.get_extra_info("socket").getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED.size
        )
    except OSError:  # a UNIX socket
        return 0.0
    milliseconds: int = _LAST_DATA_RECEIVED.unpack(info)[0]
    return milliseconds / 1000
