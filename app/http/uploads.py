"""Request bodies into memory, never further than allowed: no temporary files, no surprises.

Limits hold before parsing: Content-Length is refused at once, a chunked body as soon as it grows
too large. Parsing is push-style and keeps only the parts that are asked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from app.classify.admission import Reservation
from app.errors import PayloadTooLargeError, RequestError, UnsupportedMediaTypeError

if TYPE_CHECKING:  # the library defines it for type checkers only
    from python_multipart.multipart import MultipartCallbacks

_FORM: Final = "multipart/form-data"
_BINARY: Final = "application/octet-stream"
_LARGE_BYTES: Final = 500_000
_MAX_PARTS: Final = 2048
"""Parts of a form, wanted or not: each costs time even when it is empty."""


class ClientGoneError(Exception):
    """The client closed the connection before its body was complete; nobody waits for an answer."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a request."""

    data: bytes
    name: str | None
    """As the client calls it; never used as a path."""


async def read_image(request: Request, reservation: Reservation, *, max_bytes: int) -> Upload:
    """The one image of a request: the form field `file`, or the whole body.

    Raises:
        RequestError: no image, several, wrong type, too large.
        OverloadedError: no memory left for it among all requests.
    """
    media_type, options = _content_type(request)
    if media_type == _FORM:
        body = await _read_body(request, reservation, max_bytes)
        (upload,) = await _form_files(body, options, field="file", max_files=1)
    elif media_type.startswith("image/") or media_type == _BINARY:
        upload = Upload(bytes(await _read_body(request, reservation, max_bytes)), None)
    else:
        raise UnsupportedMediaTypeError(
            "send the image as multipart/form-data (field file), image/* or "
            "application/octet-stream"
        )
    if not upload.data:
        raise RequestError("the image is empty: zero bytes arrived")
    return upload


async def read_images(
    request: Request, reservation: Reservation, *, max_bytes: int, max_files: int
) -> list[Upload]:
    """The images of a batch request: the form field `files`, repeated.

    Raises:
        RequestError: as `read_image`; empty files are kept, each has its own answer.
    """
    media_type, options = _content_type(request)
    if media_type != _FORM:
        raise UnsupportedMediaTypeError("send the images as multipart/form-data (field files)")
    body = await _read_body(request, reservation, max_bytes)
    return await _form_files(body, options, field="files", max_files=max_files)


def _content_type(request: Request) -> tuple[str, dict[bytes, bytes]]:
    media_type, options = parse_options_header(request.headers.get("content-type"))
    return media_type.decode("latin-1").lower(), options


async def _read_body(request: Request, reservation: Reservation, max_bytes: int) -> bytearray:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal():
        _check_size(int(announced), max_bytes)
        reservation.grow_to(int(announced))
    # One growing block, which malloc maps and unmaps: a list of 64 kB chunks splits the heap up and
    # left 40 MB resident after large uploads.
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        size = len(body) + len(chunk)
        _check_size(size, max_bytes)
        if size > reservation.bytes:  # what was announced is held already
            reservation.grow_to(size)
        body += chunk
        if not message.get("more_body", False):
            return body


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise PayloadTooLargeError(f"the body may have at most {max_bytes:,} bytes")


class _Form:
    """Callbacks of the push parser; collects the parts of one field."""

    def __init__(self, field: bytes, max_files: int) -> None:
        self._field = field
        self._max_files = max_files
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._slices: list[bytes] | None = None
        self._name: str | None = None
        self._parts = 0
        self.other_fields: set[str] = set()
        self.uploads: list[Upload] = []
        self.is_complete = False

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise PayloadTooLargeError(f"the form may have at most {_MAX_PARTS:,} parts")
        self._headers = {}

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"")
        self._slices = None
        if name != self._field:
            self.other_fields.add(name[:64].decode("utf-8", "replace"))
            return
        if len(self.uploads) >= self._max_files:
            raise PayloadTooLargeError(
                f"the field {name.decode()} may have at most {self._max_files} files"
            )
        self._slices = []
        file_name = options.get(b"filename")
        self._name = None if file_name is None else file_name.decode("utf-8", "replace")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._slices is not None:
            self._slices.append(data[start:end])

    def on_part_end(self) -> None:
        if self._slices is not None:
            self.uploads.append(Upload(b"".join(self._slices), self._name))
            self._slices = None

    def on_end(self) -> None:
        self.is_complete = True


async def _form_files(
    body: bytearray, options: dict[bytes, bytes], *, field: str, max_files: int
) -> list[Upload]:
    """The field's files; large bodies are parsed in a thread, 10 MB take 20 ms."""
    if len(body) < _LARGE_BYTES:
        return _parse_form(body, options, field=field, max_files=max_files)
    return await asyncio.to_thread(_parse_form, body, options, field=field, max_files=max_files)


def _parse_form(
    body: bytearray, options: dict[bytes, bytes], *, field: str, max_files: int
) -> list[Upload]:
    boundary = options.get(b"boundary")
    if not boundary:
        raise RequestError("the multipart body has no boundary in its Content-Type")
    form = _Form(field.encode(), max_files)
    callbacks: MultipartCallbacks = {
        "on_part_begin": form.on_part_begin,
        "on_header_field": form.on_header_field,
        "on_header_value": form.on_header_value,
        "on_header_end": form.on_header_end,
        "on_headers_finished": form.on_headers_finished,
        "on_part_data": form.on_part_data,
        "on_part_end": form.on_part_end,
        "on_end": form.on_end,
    }
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.write(bytes(body))
        parser.finalize()
    except FormParserError as error:
        raise RequestError("the multipart body cannot be parsed") from error
    if not form.is_complete:
        raise RequestError("the multipart body is incomplete: its last boundary is missing")
    if not form.uploads:
        others = ", ".join(sorted(form.other_fields)[:5])
        found = f"; the form has: {others}" if others else ""
        raise RequestError(f"the form has no field {field}{found}")
    return form.uploads
