"""HTTP/1 as libevent, TensorFlow Serving's HTTP library, treats it where uvicorn differs.

The application gets the request target untouched (a fragment included), what is no HTTP at all gets
libevent's pages, and offers to upgrade (`curl --http2`, Java's HttpClient) are as if not made.
"""

from __future__ import annotations

import re
import zlib
from http import HTTPStatus

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Headers = list[tuple[bytes, bytes]]

METHODS = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"})
TARGET_EXTENSION = "serving.target"
"""Where the application finds the request target as it came."""

_PAGE: Headers = [(b"content-type", b"text/html"), (b"connection", b"close")]
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) [^ \r\n]+ HTTP/1\.[0-9]\r?\n")
_URI = re.compile(
    r"(?:PLAIN|%[0-9A-Fa-f]{2})*(?:\?(?:PLAIN|\?|%[0-9A-Fa-f]{2})*)?"
    r"(?:#(?:PLAIN|\?|%[0-9A-Fa-f]{2})*)?".replace("PLAIN", r"[A-Za-z0-9\-._~!$&'()*+,;=:@/]")
)
_MAX_BYTES = 100 * 1024 * 1024  # TensorFlow Serving's limit; also what stops a bomb
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def is_uri(target: str) -> bool:
    """Whether a request target is a URI by libevent's parser; it answers others with a page."""
    return _URI.fullmatch(target) is not None


def page(status: HTTPStatus) -> tuple[Headers, bytes]:
    """What libevent answers where no API is: headers and body; it closes the connection."""
    body = (
        f"<HTML><HEAD>\n<TITLE>{status.value} {status.phrase}</TITLE>\n</HEAD><BODY>\n"
        f"<H1>{status.phrase}</H1>\n</BODY></HTML>\n"
    ).encode()
    return _PAGE, body


def with_length(headers: Headers, body: bytes) -> Headers:
    """The headers and the body's Content-Length."""
    return [*headers, (b"content-length", str(len(body)).encode())]


def decompress(body: bytes) -> bytes:
    """The content of a gzip body: one member and nothing after it.

    Nothing for one that is broken, cut off or above 100 MB: TensorFlow Serving answers these as it
    answers an empty body.
    """
    stream = zlib.decompressobj(_GZIP_WINDOW)
    try:
        content = stream.decompress(body, _MAX_BYTES)
    except zlib.error:
        return b""
    return content if stream.eof and not stream.unused_data else b""


class LibeventLikeProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol (`http=` of its Config) for the REST API."""

    _data = b""

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self._data = data
        self._unset_keepalive_if_required()
        try:
            self._feed(memoryview(data))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # the latter: CONNECT
            self.send_400_response("")

    def _feed(self, data: memoryview) -> None:
        """Parse; where the parser stops at an offer to upgrade, go on as if it were not there."""
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as stop:
                data = data[stop.args[0] :]
                self._feed_without_offer()
            else:
                return

    def _feed_without_offer(self) -> None:
        """Give the present head, less its offer, to a new parser: the old one drops its body."""
        line = b"%b %b HTTP/%b\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        fields = [b"%b: %b\r\n" % each for each in self.headers if each[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(b"".join([line, *fields, b"\r\n"]))

    def on_headers_complete(self) -> None:
        """The parser has seen a request's head: hand its target on as it is."""
        if not self.parser.should_upgrade():
            super().on_headers_complete()
            self.scope["extensions"] = {TARGET_EXTENSION: {"target": self.url}}

    def on_message_complete(self) -> None:
        """The parser has seen a request's end."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the page says it all
        """Answer what the parser refused; an unknown method in a sound request line is a 501."""
        line = _REQUEST_LINE.match(self._data)
        is_unknown = line is not None and line[1].decode() not in METHODS
        status = HTTPStatus.NOT_IMPLEMENTED if is_unknown else HTTPStatus.BAD_REQUEST
        headers, body = page(status)
        lines = [b"HTTP/1.1 %d %s" % (status.value, status.phrase.encode())]
        lines += [name + b": " + value for name, value in with_length(headers, body)]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()
