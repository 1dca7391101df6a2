"""The sockets that all workers share: bound once, by the supervisor, which keeps them.

What connects waits in the kernel's one queue until any worker takes it: a worker that is killed
loses none of it, and a busy one holds none of it up (ADR 28).
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress


class PortError(Exception):
    """A port cannot be opened; the message is one line."""


def bind(host: str, port: int, variable: str) -> list[socket.socket]:
    """Bind every address of the host, as asyncio does; nobody listens yet.

    Args:
        host: name or address; empty: all of this machine.
        port: 0 picks a free one.
        variable: names the setting in the error.

    Raises:
        PortError: no address, or one is taken.
    """
    bound: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, address in dict.fromkeys(found):
            each = socket.socket(family, kind, protocol)
            bound.append(each)
            if os.name == "posix":
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                with suppress(AttributeError, OSError):
                    each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            each.settimeout(0)
            each.bind(address)
    except OSError as error:
        for each in bound:
            each.close()
        reason = (error.strerror or str(error)).lower()
        raise PortError(f"{variable}: {host}:{port} cannot be opened: {reason}") from error
    return bound
