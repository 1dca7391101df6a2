"""A picture as a whole HTTP request, made once and sent many times."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Final, Literal

from sightserve.bench.http import Target

Body = Literal["raw", "multipart", "json"]

_BOUNDARY: Final = "sightserve-bench-7d1c5a"


def request_of(
    target: Target, picture: bytes, body: Body = "raw", headers: Mapping[str, str] | None = None
) -> bytes:
    """A POST of one picture.

    Args:
        target: where it goes.
        picture: an image file.
        body: the file itself, the form field `file`, or base64 in JSON as `image_data`.
        headers: what else the head says.
    """
    media_type, content = _content(picture, body)
    lines = {
        "Host": target.netloc,
        "Content-Type": media_type,
        "Content-Length": str(len(content)),
        "Accept": "application/json",
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + content


def _content(picture: bytes, body: Body) -> tuple[str, bytes]:
    if body == "raw":
        return "application/octet-stream", picture
    if body == "json":
        encoded = base64.b64encode(picture).decode()
        return "application/json", json.dumps({"image_data": encoded}).encode()
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="picture"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    content = head.encode() + picture + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return f"multipart/form-data; boundary={_BOUNDARY}", content
