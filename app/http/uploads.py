"""Request bodies into memory, once and never further than allowed: no temporary files, no copies.

Limits hold before anything is kept: Content-Length is refused at once, a body as soon as it has
grown too large. What arrives goes straight where it stays.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from app.errors import PayloadTooLargeError, RequestError, UnsupportedMediaTypeError
from app.http.buffers import Holding
from app.http.departure import ClientGoneError
from app.http.form import Form
from app.http.json_images import JsonImages

_FORM: Final = "multipart/form-data"
_BINARY: Final = "application/octet-stream"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a request."""

    data: bytes
    name: str | None
    """As the client calls it; never used as a path."""


async def read_image(request: Request, holding: Holding, *, max_bytes: int) -> Upload:
    """The one image of a request: the form field `file`, the whole body, or base64 in JSON.

    Raises:
        RequestError: no image, several, wrong type, too large.
        OverloadedError: no memory left for it.
    """
    media_type, options = _content_type(request)
    if media_type == _FORM:
        form = Form(options, field="file", max_files=1)
        (upload,) = await _read_form(request, form, holding, max_bytes)
    elif media_type.startswith("image/") or media_type == _BINARY:
        upload = Upload(await _read_file(request, holding, max_bytes), None)
    elif media_type == _JSON:
        json = JsonImages(is_batch=False, max_files=1)
        (upload,) = await _read_form(request, json, holding, max_bytes)
    else:
        raise UnsupportedMediaTypeError(
            "send the image as multipart/form-data (field file), image/*, "
            'application/octet-stream or application/json ({"image": {"b64": "…"}})'
        )
    if not upload.data:
        raise RequestError("the image is empty: zero bytes arrived")
    return upload


async def read_images(
    request: Request, holding: Holding, *, max_bytes: int, max_files: int
) -> list[Upload]:
    """The images of a batch request: the form field `files`, repeated, or base64 in JSON.

    Raises:
        RequestError: as `read_image`; empty files are kept, each has its own answer.
    """
    media_type, options = _content_type(request)
    form: Form | JsonImages
    if media_type == _FORM:
        form = Form(options, field="files", max_files=max_files)
    elif media_type == _JSON:
        form = JsonImages(is_batch=True, max_files=max_files)
    else:
        raise UnsupportedMediaTypeError(
            "send the images as multipart/form-data (field files) or "
            'application/json ({"images": [{"b64": "…"}]})'
        )
    return await _read_form(request, form, holding, max_bytes)


def _content_type(request: Request) -> tuple[str, dict[bytes, bytes]]:
    media_type, options = parse_options_header(request.headers.get("content-type"))
    return media_type.decode("latin-1").lower(), options


async def _read_file(request: Request, holding: Holding, max_bytes: int) -> bytes:
    file = BytesIO()
    async for chunk in chunks(request, holding, max_bytes):
        file.write(chunk)
    return file.getvalue()  # its own block, not a copy


async def _read_form(
    request: Request, form: Form | JsonImages, holding: Holding, max_bytes: int
) -> list[Upload]:
    async for chunk in chunks(request, holding, max_bytes):
        form.feed(chunk)
    return [Upload(file.getvalue(), name) for name, file in form.finish()]


async def chunks(request: Request, holding: Holding, max_bytes: int) -> AsyncIterator[bytes]:
    """The body as it arrives, accounted for.

    Raises:
        RequestError: it is too large.
        OverloadedError: no memory left for it.
        ClientGoneError: the rest will not come.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal():
        _check_size(int(announced), max_bytes)
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        _check_size(size, max_bytes)
        holding.grow_to(size)
        if chunk:
            yield chunk
        if not message.get("more_body", False):
            return


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise PayloadTooLargeError(f"the body may have at most {max_bytes:,} bytes")
