"""Where the model servers are: parsing GATEWAY_MODEL_SERVER_URL and resolving names.

grpc://host:8500                     one model server, gRPC
http://host:8501                     one model server, REST
grpc://a:8500,grpc://b:8500          several, same protocol
grpc://dns:name:8500                 every address that `name` resolves to (headless Service)
grpcs://host:8500, https://host:8501 the same over TLS
grpc://unix:/run/model-server.sock   a UNIX socket on this machine, gRPC only
"""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.text import comma_separated
from protocol.schemes import SCHEMES, Scheme

_URL: Final = re.compile(
    r"(?P<scheme>grpcs?|https?)://(?P<dns>dns:)?"
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):(?P<port>[0-9]{1,5})/?"
)
_MAX_PORT: Final = 65_535
_UNIX: Final = re.compile(r"(?P<scheme>[a-z]+)://(?P<address>unix:(?P<path>.*))")
_MAX_PATH_BYTES: Final = 107
"""Of a UNIX socket, on Linux."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """One `host:port`; IPv6 hosts keep their brackets. A UNIX socket is a host without a port."""

    host: str
    port: int
    """0: none."""
    name: str = field(default="", compare=False)
    """What it was resolved from: the name in its certificate."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


@dataclass(frozen=True, slots=True)
class Targets:
    """What the URL setting names: fixed addresses, and names to resolve again and again."""

    scheme: Scheme
    fixed: tuple[Address, ...]
    names: tuple[Address, ...]
    text: str = field(default="", compare=False)
    """The setting as it was written."""
    is_secure: bool = False

    def __str__(self) -> str:
        return self.text


def parse_targets(text: str | Targets) -> Targets:
    """Read the URL setting; one that was read already stays as it is.

    Raises:
        ValueError: what is wrong, fit for a user.
    """
    if isinstance(text, Targets):
        return text
    parts = comma_separated(text)
    if not parts:
        raise ValueError("give at least one URL such as grpc://localhost:8500")
    fixed: list[Address] = []
    names: list[Address] = []
    schemes: set[str] = set()
    for part in parts:
        if unix := _UNIX.fullmatch(part):
            fixed.append(_socket(unix))
            schemes.add(unix["scheme"])
            continue
        match = _URL.fullmatch(part)
        if match is None or not 0 < int(match["port"]) <= _MAX_PORT:
            raise ValueError(
                f"{part!r} is not grpc://host:port, http://host:port (or grpcs, https), or "
                "grpc://dns:name:port, or grpc://unix:/path"
            )
        schemes.add(match["scheme"])
        (names if match["dns"] else fixed).append(Address(match["host"], int(match["port"])))
    if len(schemes) > 1:
        raise ValueError("all URLs must have the same scheme: grpc, http, grpcs or https")
    scheme, is_secure = SCHEMES[schemes.pop()]
    unique = tuple(dict.fromkeys(fixed)), tuple(dict.fromkeys(names))
    return Targets(scheme, *unique, text, is_secure)


def _socket(url: re.Match[str]) -> Address:
    """A UNIX socket, which need not be there yet: the model server may start later.

    Raises:
        ValueError: it can never be there.
    """
    path, text = Path(url["path"]), url.string
    if url["scheme"] != "grpc":
        raise ValueError(f"{text!r}: over a UNIX socket there is gRPC only: grpc://unix:/path")
    if not path.is_absolute() or len(bytes(path)) > _MAX_PATH_BYTES:
        raise ValueError(
            f"{text!r}: the path of a UNIX socket begins with / and has at most "
            f"{_MAX_PATH_BYTES} bytes: grpc://unix:/path"
        )
    if not path.parent.is_dir():
        raise ValueError(f"{text!r}: there is no folder {path.parent}")
    if path.exists() and not path.is_socket():
        raise ValueError(f"{text!r}: {path} is no socket; name the model server's grpc_socket_path")
    return Address(url["address"], 0)


async def resolve(targets: Targets) -> list[Address] | None:
    """All addresses now, sorted; None when a name did not resolve (keep what you had)."""
    addresses = set(targets.fixed)
    loop = asyncio.get_running_loop()
    for name in targets.names:
        try:
            found = await loop.getaddrinfo(name.host, name.port, type=socket.SOCK_STREAM)
        except OSError:
            return None
        for family, _, _, _, sockaddr in found:
            host = f"[{sockaddr[0]}]" if family == socket.AF_INET6 else str(sockaddr[0])
            addresses.add(Address(host, name.port, name.host))
    return sorted(addresses)
