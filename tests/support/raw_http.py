"""HTTP requests byte for byte over a socket: malformed paths, odd bodies, old versions."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from typing import Self
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


class RawConnection:
    """One connection on which a test sends what it likes, in pieces, and reads answer by answer."""

    def __init__(
        self, url: str, *, timeout_seconds: float = DEADLINE_SECONDS, source: str = ""
    ) -> None:
        """Connect, from another address of this machine if one is named."""
        address = urlsplit(url)
        self.socket = socket.create_connection(
            (address.hostname or "", address.port or 80),
            timeout=timeout_seconds,
            source_address=(source, 0) if source else None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.socket.sendall(part)

    def reply(self, method: str = "GET") -> Reply:
        """The next answer, read no further than its end."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            assert byte, f"closed after {head!r}"
            head += byte
        status_line, *lines = head.decode("latin-1").rstrip().split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.lower(): value.strip() for name, value in pairs}
        length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
        body = b""
        while len(body) < length:
            piece = self.socket.recv(length - len(body))
            assert piece, f"closed after {body!r}"
            body += piece
        return Reply(int(status_line.split()[1]), headers, body)

    def is_closed(self) -> bool:
        """Waits for the other side to close, without a reset; False when it sends instead."""
        return self.socket.recv(1) == b""
