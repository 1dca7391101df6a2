"""HTTP/1 as libevent, TensorFlow Serving's HTTP library, treats it where uvicorn differs.

The application gets the request target untouched (a fragment included), and what is no HTTP at all
gets libevent's pages.
"""

from __future__ import annotations

import re
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.rest.app import METHODS, TARGET_EXTENSION, page, with_length

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) [^ \r\n]+ HTTP/1\.[0-9]\r?\n")


class LibeventLikeProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol (`http=` of its Config) for the REST API."""

    _data = b""

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self._data = data
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """The parser has seen a request's head: hand its target on as it is."""
        super().on_headers_complete()
        self.scope["extensions"] = {TARGET_EXTENSION: {"target": self.url}}

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
