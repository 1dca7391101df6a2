"""Where a request's body ends, and its bytes without what is around them."""

from __future__ import annotations

import re
from typing import Final, Protocol

from app.errors import HeadersTooLargeError, RequestError
from app.http.connection.head import Head

_MAX_LINE_BYTES: Final = 1024
"""A chunk's size with its extensions, or one trailer."""
_MAX_TRAILER_BYTES: Final = 8192
_FREE_FRAMING_BYTES: Final = 65_536
_CONTENT_PER_FRAMING: Final = 8
"""Beyond what is free, so many bytes of content come with each byte of sizes and extensions:
smaller chunks (below 50 bytes) cost more than their content is worth."""
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
_LINE_END: Final = b"\r\n"


class Body(Protocol):
    """A body that is still arriving."""

    is_complete: bool

    @property
    def remaining(self) -> int | None:
        """Bytes still to come; None if only the sender knows."""
        ...

    def feed(self, data: bytes | memoryview, into: list[bytes]) -> int:
        """Take what belongs to the body, append its content, return how many bytes were taken.

        Raises:
            RequestError: it is not as announced.
        """
        ...


def body_of(head: Head) -> Body | None:
    """The body that follows a head, None if there is none."""
    if head.is_chunked:
        return ChunkedBody()
    return LengthBody(head.content_length) if head.content_length else None


class LengthBody:
    """As many bytes as Content-Length says."""

    __slots__ = ("_remaining", "is_complete")

    def __init__(self, length: int) -> None:
        self._remaining = length
        self.is_complete = length == 0

    @property
    def remaining(self) -> int | None:
        """As in `Body`."""
        return self._remaining

    def feed(self, data: bytes | memoryview, into: list[bytes]) -> int:
        """As in `Body`."""
        taken = min(len(data), self._remaining)
        into.append(bytes(data[:taken]))
        self._remaining -= taken
        self.is_complete = self._remaining == 0
        return taken


class ChunkedBody:
    """Chunks until an empty one, then trailers, which nobody reads here (RFC 9112, 7.1).

    size line ─► data ─► line end ─► size line … size 0 ─► trailers … empty line
    """

    __slots__ = ("_chunk", "_content", "_expects", "_framing", "_line", "_trailers", "is_complete")

    def __init__(self) -> None:
        self._line = bytearray()
        """The beginning of a line whose end has not arrived."""
        self._expects = self._size_line
        self._chunk = 0
        self._content = 0
        self._framing = 0
        self._trailers = 0
        self.is_complete = False

    @property
    def remaining(self) -> int | None:
        """As in `Body`."""
        return 0 if self.is_complete else None

    def feed(self, data: bytes | memoryview, into: list[bytes]) -> int:
        """As in `Body`."""
        content, position = bytes(data), 0
        while position < len(content) and not self.is_complete:
            if self._chunk:
                taken = min(self._chunk, len(content) - position)
                into.append(content[position : position + taken])
                self._chunk -= taken
                position += taken
            else:
                position = self._take_line(content, position)
        return position

    def _take_line(self, content: bytes, position: int) -> int:
        end = content.find(b"\n", position, position + _MAX_LINE_BYTES) + 1
        stop = end or len(content)
        self._line += content[position:stop]
        if len(self._line) > _MAX_LINE_BYTES:
            raise HeadersTooLargeError("a chunk's extensions or a trailer are too long")
        if end:
            line, self._line = bytes(self._line), bytearray()
            self._expects(line)
        return stop

    def _size_line(self, line: bytes) -> None:
        size = _SIZE.fullmatch(line)
        if size is None:
            raise RequestError("a chunk of the body has no size that can be read")
        self._chunk = int(size[1], 16)
        self._content += self._chunk
        self._framing += len(line) + len(_LINE_END)
        if self._framing > _FREE_FRAMING_BYTES + self._content // _CONTENT_PER_FRAMING:
            raise RequestError("the body's chunks are too small for their number")
        self._expects = self._chunk_end if self._chunk else self._trailer

    def _chunk_end(self, line: bytes) -> None:
        if line != _LINE_END:
            raise RequestError("a chunk of the body does not end where it says")
        self._expects = self._size_line

    def _trailer(self, line: bytes) -> None:
        self.is_complete = line == _LINE_END
        self._trailers += len(line)
        if self._trailers > _MAX_TRAILER_BYTES:
            raise HeadersTooLargeError(
                f"the trailers may have at most {_MAX_TRAILER_BYTES:,} bytes together"
            )
