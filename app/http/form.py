"""A multipart form, read as it arrives: the files of one field are kept, everything else is not."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Final

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from app.errors import PayloadTooLargeError, RequestError

if TYPE_CHECKING:  # the library defines it for type checkers only
    from python_multipart.multipart import MultipartCallbacks

_MAX_PARTS: Final = 2048
"""Parts of a form, wanted or not: each costs time even when it is empty."""


class Form:
    """The push parser and what it has found so far."""

    def __init__(self, options: dict[bytes, bytes], *, field: str, max_files: int) -> None:
        """Begin.

        Args:
            options: of the Content-Type header.
            field: the one whose files are kept.
            max_files: of that field.

        Raises:
            RequestError: there is no boundary.
        """
        self._field = field
        self._max_files = max_files
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._file: BytesIO | None = None
        """Of the part that is arriving, if it is wanted."""
        self._files: list[tuple[str | None, BytesIO]] = []
        self._other_fields: set[str] = set()
        self._parts = 0
        self._is_complete = False
        self._parser = self._parser_for(options.get(b"boundary"))

    def feed(self, data: bytes) -> None:
        """Read the next piece of the body.

        Raises:
            RequestError: it is no form, or has too many parts or files.
        """
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise RequestError("the multipart body cannot be parsed") from error

    def finish(self) -> list[tuple[str | None, BytesIO]]:
        """The files' names and contents, at least one.

        Raises:
            RequestError: the form is incomplete, or has no such file.
        """
        try:
            self._parser.finalize()
        except FormParserError as error:
            raise RequestError("the multipart body cannot be parsed") from error
        if not self._is_complete:
            raise RequestError("the multipart body is incomplete: its last boundary is missing")
        if not self._files:
            others = ", ".join(sorted(self._other_fields)[:5])
            found = f"; the form has: {others}" if others else ""
            raise RequestError(f"the form has no field {self._field}{found}")
        return self._files

    def _parser_for(self, boundary: bytes | None) -> MultipartParser:
        if not boundary:
            raise RequestError("the multipart body has no boundary in its Content-Type")
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_end": self._on_end,
        }
        try:
            return MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise RequestError("the multipart body cannot be parsed") from error

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise PayloadTooLargeError(f"the form may have at most {_MAX_PARTS:,} parts")
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"")
        self._file = None
        if name != self._field.encode():
            self._other_fields.add(name[:64].decode("utf-8", "replace"))
            return
        if len(self._files) >= self._max_files:
            raise PayloadTooLargeError(self._too_many())
        self._file = BytesIO()
        file_name = options.get(b"filename")
        name_text = None if file_name is None else file_name.decode("utf-8", "replace")
        self._files.append((name_text, self._file))

    def _too_many(self) -> str:
        if self._max_files == 1:
            return (
                f"the field {self._field} may have one file: send several to /classify/batch, in "
                "the field files"
            )
        return f"the field {self._field} may have at most {self._max_files} files"

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])

    def _on_end(self) -> None:
        self._is_complete = True
