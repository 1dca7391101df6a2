"""HTTP requests byte for byte over a socket: malformed paths, odd bodies, old versions."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

DEADLINE_SECONDS = 60


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


def exchange(url: str, request: bytes, *, method: str) -> Reply:
    """Send one request as it is, read one answer. The socket gives up after the deadline."""
    address = urlsplit(url)
    with socket.create_connection(
        (address.hostname or "", address.port or 80), timeout=DEADLINE_SECONDS
    ) as connection:
        connection.sendall(request)
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, headers, response.read())


def request_bytes(
    method: str,
    path: str,
    *,
    headers: dict[str, str | None] | None = None,
    body: bytes | None = None,
    version: str = "1.1",
) -> bytes:
    """A request; a header of None leaves out what would be there by default."""
    fields: dict[str, str | None] = {"Host": "model-server"}
    if body is not None:
        fields["Content-Length"] = str(len(body))
    fields |= headers or {}
    lines = [f"{method} {path} HTTP/{version}"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")
