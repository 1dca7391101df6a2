"""Where the servers listen."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Self

from sightserve.serve import wording
from sightserve.serve.errors import ServeError

HOME: Final = "127.0.0.1"
"""The address that only this machine reaches."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the two servers listen; `host` is the gateway's, the model server stays at home."""

    gateway: int
    grpc: int
    rest: int
    host: str = HOME

    @classmethod
    def of(cls, gateway: int, grpc: int, rest: int, host: str = HOME) -> Self:
        """As asked for; 0 is any free one."""
        wanted = (gateway, grpc, rest)
        with ExitStack() as stack:
            free = [_bound(stack) for port in wanted if port == 0]
            found = [port or free.pop().getsockname()[1] for port in wanted]
        return cls(found[0], found[1], found[2], host)

    @property
    def is_open(self) -> bool:
        """Whether other machines may reach the gateway."""
        return not (self.host == "localhost" or self.host.startswith(("127.", "::1")))

    @property
    def gateway_url(self) -> str:
        """Where the gateway answers on this machine."""
        host = HOME if self.host in {"0.0.0.0", "::", "localhost"} else self.host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.gateway}" if ":" in host else f"http://{host}:{self.gateway}"

    def check_free(self) -> None:
        """Look whether all of them differ and can be opened.

        Raises:
            ServeError: two are one, somebody else holds one, or the host is none of this machine's.
        """
        named = (
            ("PORT", self.host, self.gateway),
            ("GRPC_PORT", HOME, self.grpc),
            ("REST_PORT", HOME, self.rest),
        )
        if len({self.gateway, self.grpc, self.rest}) < len(named):
            raise ServeError(
                "the gateway's port and the model server's two must differ: "
                f"{self.gateway}, {self.grpc}, {self.rest}"
            )
        for variable, host, port in named:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        name = "HOST=" if wording.is_make() else "--host "
                        raise ServeError(f"{name}{host}: {error.strerror or error}") from error
                    raise ServeError(
                        f"port {port} is in use; stop what holds it or choose another: "
                        f"{wording.with_port(variable, port + 10)}"
                    ) from error


def _bound(stack: ExitStack) -> socket.socket:
    probe = stack.enter_context(socket.socket())
    probe.bind((HOME, 0))
    return probe
