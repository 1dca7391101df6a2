"""A request's head: found in what arrived, parsed by llhttp, then held against what it allows.

The parser sees a head only when it is complete and small enough, so its size costs nothing twice.
llhttp's strict mode already refuses obs-folds, bare line feeds, two Content-Lengths, and
Content-Length beside Transfer-Encoding; here is what it lets through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import httptools

from app.errors import HeadersTooLargeError, RequestError, UrlTooLongError
from app.http.connection.limits import Limits

Headers = list[tuple[bytes, bytes]]

_END: Final = b"\r\n\r\n"
_LINE_END: Final = b"\r\n"
_SLASH: Final = b"/"
_QUERY: Final = b"?"
_FRAGMENT: Final = b"#"
_BARE_LINE_FEED: Final = re.compile(rb"(?<!\r)\n")
_BEGINNING: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}(?: |\Z)")
_BEGINNING_BYTES: Final = 33
_HOST: Final = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*")
_CONTINUE: Final = b"100-continue"
_NOT_HTTP: Final = "the request is not HTTP/1.1"


@dataclass(frozen=True, slots=True)
class Head:
    """What a request says before its body."""

    method: str
    raw_path: bytes
    """Not decoded, without the query."""
    path: str
    query: bytes
    version: str
    headers: Headers
    """Names in lower case, in order."""
    content_length: int | None
    is_chunked: bool
    expects_continue: bool
    keep_alive: bool


def end_of_head(data: bytearray, start: int, limits: Limits) -> int | None:
    """Where the head at the beginning of `data` ends; None while it is incomplete.

    `start` is how many bytes an earlier call has seen.

    Raises:
        UrlTooLongError, HeadersTooLargeError: it is larger than allowed, complete or not.
        RequestError: it will never be HTTP.
    """
    end = data.find(_END, max(0, start - len(_END) + 1))
    size = len(data) if end < 0 else end
    line_end = data.find(_LINE_END, 0, limits.max_request_line_bytes + len(_LINE_END))
    if line_end < 0 and size > limits.max_request_line_bytes:
        raise UrlTooLongError(
            f"the request line may have at most {limits.max_request_line_bytes:,} bytes"
        )
    if size - max(line_end, 0) > limits.max_header_bytes:
        raise HeadersTooLargeError(
            f"the headers may have at most {limits.max_header_bytes:,} bytes together"
        )
    if data.count(_LINE_END, 0, size) > limits.max_header_fields:
        raise HeadersTooLargeError(f"there may be at most {limits.max_header_fields} headers")
    if end >= 0:
        return end + len(_END)
    if start == 0 and not _BEGINNING.match(data[:_BEGINNING_BYTES]):
        raise RequestError(_NOT_HTTP)
    if _BARE_LINE_FEED.search(data, start):
        raise RequestError(_NOT_HTTP)
    return None


class _Fields:
    """llhttp's callbacks."""

    __slots__ = ("headers", "target")

    def __init__(self) -> None:
        self.target = b""
        self.headers: Headers = []

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))


def parse_head(data: bytes) -> Head:
    """Read a complete head.

    Raises:
        RequestError: it is not HTTP, or leaves open where its body ends or whom it asks.
    """
    fields = _Fields()
    parser = httptools.HttpRequestParser(fields)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # an offer, which we do not take up (RFC 9110, 7.8): the request is as good without
    except httptools.HttpParserError as error:
        raise RequestError(_NOT_HTTP, reason=str(error)) from error
    version = parser.get_http_version()
    named = _named(fields.headers)
    _check(version, named)
    raw_path, query = _split(fields.target, named.get(b"host", []))
    path = raw_path.decode("ascii")
    return Head(
        method=parser.get_method().decode("ascii"),
        raw_path=raw_path,
        path=unquote(path) if "%" in path else path,
        query=query,
        version=version,
        headers=fields.headers,
        content_length=int(named[b"content-length"][0]) if b"content-length" in named else None,
        is_chunked=b"transfer-encoding" in named,
        expects_continue=named.get(b"expect", [b""])[0].lower() == _CONTINUE,
        keep_alive=version == "1.1" and not _asks_to_close(named.get(b"connection", [])),
    )


_NAMED: Final = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"expect", b"connection"}
)


def _named(headers: Headers) -> dict[bytes, list[bytes]]:
    """The headers that decide something here, by name."""
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _NAMED:
            found.setdefault(name, []).append(value)
    return found


def _check(version: str, named: dict[bytes, list[bytes]]) -> None:
    if version not in {"1.0", "1.1"}:
        raise RequestError(_NOT_HTTP)
    hosts = named.get(b"host", [])
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise RequestError("a request has exactly one Host header")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise RequestError("the Host header is not a host")
    codings = named.get(b"transfer-encoding")
    if codings is None:
        return
    if version != "1.1" or len(codings) > 1 or codings[0].lower() != b"chunked":
        raise RequestError("chunked is the only transfer coding")


def _split(target: bytes, hosts: list[bytes]) -> tuple[bytes, bytes]:
    """Path and query of a request target in origin form or absolute form.

    The latter names a host too, which counts (RFC 9112, 3.2.2): one that is not the Host header's
    would get past whoever looks at the header only.
    """
    is_absolute = not target.startswith(_SLASH)
    if not is_absolute and _FRAGMENT not in target:
        path, _, query = target.partition(_QUERY)
        return path, query
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserError as error:
        raise RequestError("the request target is not a URL") from error
    if not url.path:
        raise RequestError("the request target has no path")
    host = target.partition(b"://")[2].partition(_SLASH)[0]
    if is_absolute and any(each.lower() != host.lower() for each in hosts):
        raise RequestError("the request target and the Host header name different hosts")
    return url.path, url.query or b""


def _asks_to_close(values: list[bytes]) -> bool:
    return any(token.strip().lower() == b"close" for v in values for token in v.split(b","))
