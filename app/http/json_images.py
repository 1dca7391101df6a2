"""Images in JSON, read as they arrive: base64 is decoded piece by piece, so no text is ever whole.

    {"image": {"b64": "…"}}        {"images": [{"b64": "…", "name": "a.jpg"}, …]}

What stands between the quotes of a `b64` goes to a file of its own and leaves a mark; the rest, the
outline, is bounded and then parsed as JSON. So a body costs its decoded size and never the tree of
objects that 20 MB of brackets would make.

    outline ──"b64": "──► base64 ──"──► outline ──"──► text ──"──► outline …
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from pydantic_core import from_json

from app.errors import InvalidParameterError, PayloadTooLargeError, RequestError

_MAX_OUTLINE_BYTES: Final = 65_536
_MAX_KEY_BYTES: Final = 64
"""So far back from a string's beginning its key is looked for."""
_KEY: Final = re.compile(rb'"b64"[ \t\r\n]*:[ \t\r\n]*"$')
_TEXT_PART: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_MARK: Final = "base64 of image "
_QUANTUM: Final = 4
_PIECE_BYTES: Final = 4096
"""So much is looked at at a time: each string copies what follows it in its piece."""
_MAX_DIGITS: Final = 6


class JsonImages:
    """The push parser, with the interface of `app.http.form.Form`."""

    def __init__(self, *, is_batch: bool, max_files: int) -> None:
        """Begin.

        Args:
            is_batch: whether `images` is expected, a list, or `image`.
            max_files: images at most.
        """
        self._is_batch = is_batch
        self._max_files = max_files
        self._outline = bytearray()
        self._files: list[BytesIO] = []
        self._rest = b""
        """What has arrived and is no whole quantum, or half an escape."""
        self._is_padded = False
        self._state: Callable[[bytes], bytes] = self._outside

    def feed(self, data: bytes) -> None:
        """Read the next piece of the body.

        Raises:
            RequestError: it has too many images or too much else, or what should be base64 is not.
        """
        for start in range(0, len(data), _PIECE_BYTES):
            piece, self._rest = self._rest + data[start : start + _PIECE_BYTES], b""
            while piece:
                piece = self._state(piece)

    def finish(self) -> list[tuple[str | None, BytesIO]]:
        """The images' names and contents, at least one.

        Raises:
            RequestError: it is no JSON, or not of this form.
        """
        try:
            body = from_json(bytes(self._outline), allow_inf_nan=False)
        except ValueError as error:
            raise RequestError("the body is no JSON") from error
        self._outline.clear()
        if not self._is_batch:
            return [(None, self._image(_member(body, "image", "the body"), "image"))]
        images = _member(body, "images", "the body")
        if not isinstance(images, list) or not images:
            raise InvalidParameterError("images", "must be a list of images, at least one")
        if len(images) > self._max_files:
            raise PayloadTooLargeError(f"the body may have at most {self._max_files} images")
        return [self._named(each, f"images[{index}]") for index, each in enumerate(images)]

    def _named(self, item: Any, where: str) -> tuple[str | None, BytesIO]:
        name = item.pop("name", None) if isinstance(item, dict) else None
        if name is not None and not isinstance(name, str):
            raise InvalidParameterError(f"{where}.name", "must be a text")
        return name, self._image(item, where)

    def _image(self, item: Any, where: str) -> BytesIO:
        mark = _member(item, "b64", where)
        number = mark.removeprefix(_MARK) if isinstance(mark, str) else ""
        is_number = number.isdecimal() and len(number) <= _MAX_DIGITS
        if is_number and int(number) < len(self._files):
            return self._files[int(number)]
        raise InvalidParameterError(f"{where}.b64", "must be the image's bytes in base64")

    def _outside(self, data: bytes) -> bytes:
        """Between strings: up to the next quote, whose string is an image's or not."""
        quote = data.find(b'"') + 1
        self._keep(data[: quote or len(data)])
        if not quote:
            return b""
        if _KEY.search(self._outline, max(0, len(self._outline) - _MAX_KEY_BYTES)):
            self._begin_image()
        else:
            self._state = self._in_text
        return data[quote:]

    def _in_text(self, data: bytes) -> bytes:
        """Inside another string, which may have escapes."""
        found = _TEXT_PART.match(data)
        end = found.end() if found is not None else 0
        self._keep(data[:end])
        if data[end:] == b"\\":  # its escape has not arrived
            self._rest = data[end:]
            return b""
        if end < len(data):
            self._keep(b'"')
            self._state = self._outside
        return data[end + 1 :]

    def _begin_image(self) -> None:
        if len(self._files) >= self._max_files:
            hint = "" if self._is_batch else ": send several to /classify/batch as images"
            raise PayloadTooLargeError(f"the body may have at most {self._max_files} images{hint}")
        self._files.append(BytesIO())
        self._keep(f"{_MARK}{len(self._files) - 1}".encode())
        self._is_padded = False
        self._state = self._in_image

    def _in_image(self, data: bytes) -> bytes:
        """Inside base64: whole quanta are decoded, what is left waits."""
        quote = data.find(b'"')
        text = data if quote < 0 else data[:quote]
        if b"\\" in text:
            text = text.replace(b"\\/", b"/")  # the one escape that JSON allows here
        if quote < 0:
            begun = b"\\" if text.endswith(b"\\") else b""
            text = text.removesuffix(begun)
            whole = len(text) // _QUANTUM * _QUANTUM
            self._rest = text[whole:] + begun
            self._decode(text[:whole])
            return b""
        self._decode(text)
        self._keep(b'"')
        self._state = self._outside
        return data[quote + 1 :]

    def _decode(self, text: bytes) -> None:
        if not text:
            return
        try:
            content = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error as error:
            raise self._not_base64(text) from error
        if self._is_padded:
            raise self._not_base64(text)
        self._is_padded = text.endswith(b"=")
        self._files[-1].write(content)

    def _not_base64(self, text: bytes) -> InvalidParameterError:
        hint = ""
        if text.startswith(b"data:") and not self._files[-1].tell():
            hint = ": leave out 'data:…;base64,'"
        elif b"-" in text or b"_" in text:
            hint = ": its alphabet is the one with + and /"
        where = f"images[{len(self._files) - 1}].b64" if self._is_batch else "image.b64"
        return InvalidParameterError(where, f"is no base64 (RFC 4648, 4){hint}")

    def _keep(self, text: bytes) -> None:
        self._outline += text
        if len(self._outline) > _MAX_OUTLINE_BYTES:
            raise PayloadTooLargeError(
                f"the JSON around the images may have at most {_MAX_OUTLINE_BYTES:,} bytes"
            )


def _member(item: Any, name: str, where: str) -> Any:
    """The one member that an object of ours has."""
    if not isinstance(item, dict) or name not in item:
        raise InvalidParameterError(name, f"is missing: {where} must be an object with it")
    for other in item:
        if other != name:
            raise InvalidParameterError(
                other[:_MAX_KEY_BYTES], f"is no member of {where}; parameters go into the URL"
            )
    return item[name]
