"""Requests that nobody meant: images, forms, headers, queries and raw HTTP, each a little wrong.

Every case is made from a seed and a number alone, so that one that hurts can be made again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from tests.load.client import request_bytes
from tests.support.bombs import BOMBS
from tests.support.pictures import photographs, saved

_BOMB_HEAD_BYTES = 4096
_BOUNDARY = b"frontier"
_INTERESTING = (
    b"\0",
    b"\xff",
    b"\0\0",
    b"\xff\xff",
    b"\x80\0",
    b"\xff" * 4,
    b"\0" * 4,
    b"\x7f\xff\xff\xff",
)


@dataclass(frozen=True)
class Case:
    """One request and what may come of it."""

    kind: str
    request: bytes
    is_http: bool = True
    """A server has to answer it; else it may also close the connection."""
    is_ambiguous: bool = False
    """Two servers could split it differently: exactly one answer, a refusal, then the end."""


def case(seed: int, number: int, *, raw_share: float = 0.05) -> Case:
    """The case of that number."""
    # Not for secrets: it must give the same case again.
    rng = random.Random(f"{seed}/{number}")  # noqa: S311
    if rng.random() < raw_share:
        return _raw(rng)
    return rng.choice(_MAKERS)(rng)


@cache
def seeds() -> tuple[bytes, ...]:
    """Real photos in every format and many modes, and the heads of bombs."""
    files = [
        data
        for pixels in photographs().values()
        for data in _in_every_format(Image.fromarray(pixels).resize((96, 72)))
    ]
    return (*files, *(bomb.make()[:_BOMB_HEAD_BYTES] for bomb in BOMBS))


def mutated(rng: random.Random, data: bytes) -> bytes:
    """One to four changes, one after the other."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(_MUTATIONS)(rng, data)
    return data


def _in_every_format(photo: Image.Image) -> list[bytes]:
    transparent = photo.convert("RGBA")
    transparent.putalpha(128)
    deep = Image.fromarray(np.asarray(photo.convert("L"), np.uint16) * 257)
    return [
        saved(photo, "JPEG"),
        saved(photo, "JPEG", progressive=True, exif=_turned()),
        saved(photo.convert("CMYK"), "JPEG"),
        saved(photo.convert("L"), "JPEG"),
        saved(photo, "PNG"),
        saved(transparent, "PNG"),
        saved(photo.convert("P"), "PNG", transparency=3),
        saved(deep, "PNG"),
        saved(photo.convert("1"), "PNG"),
        saved(photo, "WEBP"),
        saved(transparent, "WEBP", lossless=True),
        saved(photo, "WEBP", save_all=True, append_images=[photo.rotate(90)]),
        saved(photo, "GIF"),
        saved(photo, "GIF", save_all=True, append_images=[photo.rotate(90)]),
        saved(photo, "BMP"),
        saved(photo.convert("P"), "BMP"),
    ]


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    return exif


def _flip_bits(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 2, 8, 32))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _edit_head(rng: random.Random, data: bytes) -> bytes:
    """Sizes, depths and tables stand in the first bytes."""
    changed = bytearray(data or b"\0")
    for _ in range(rng.choice((1, 2, 4))):
        changed[rng.randrange(min(len(changed), 64))] = rng.randrange(256)
    return bytes(changed)


def _overwrite(rng: random.Random, data: bytes) -> bytes:
    at, value = rng.randrange(len(data) + 1), rng.choice(_INTERESTING)
    return data[:at] + value + data[at + len(value) :]


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _remove(rng: random.Random, data: bytes) -> bytes:
    start, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:start] + data[end:]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data) + 1)
    part = data[start : start + rng.choice((1, 4, 64, 1024))]
    return data[:start] + part * rng.choice((2, 8, 64)) + data[start:]


def _splice(rng: random.Random, data: bytes) -> bytes:
    other = rng.choice(seeds())
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


_MUTATIONS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip_bits, _flip_bits, _edit_head, _edit_head, _overwrite, _truncate, _remove, _repeat,
    _splice,
)  # fmt: skip


def _image(rng: random.Random) -> Case:
    data = mutated(rng, rng.choice(seeds()))
    media_type = rng.choice(("application/octet-stream", "image/jpeg", "image/png", "image/x"))
    return Case("image", request_bytes("POST", "/classify", data, media_type))


def _chunked(rng: random.Random) -> Case:
    data = mutated(rng, rng.choice(seeds()))
    head = request_bytes(
        "GET", "/classify", content_type="image/png", Transfer_Encoding="chunked"
    ).replace(b"GET", b"POST", 1)
    body, at = b"", 0
    while at < len(data):
        piece = data[at : at + rng.choice((1, 7, 100, 5000))]
        body, at = body + b"%x\r\n%b\r\n" % (len(piece), piece), at + len(piece)
    return Case("chunked", head + body + b"0\r\n\r\n")


def _part(rng: random.Random, field: bytes) -> bytes:
    data = rng.choice(seeds())
    if rng.random() < 0.5:
        data = mutated(rng, data)
    return (
        b"--" + _BOUNDARY + b'\r\nContent-Disposition: form-data; name="' + field
        + b'"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n' + data + b"\r\n"
    )  # fmt: skip


def _form(rng: random.Random) -> Case:
    """A form whose frame is damaged: boundaries, part headers, the end."""
    is_batch = rng.random() < 0.3
    field = b"files" if is_batch else b"file"
    body = b"".join(_part(rng, field) for _ in range(rng.choice((1, 1, 2, 4))))
    body += b"--" + _BOUNDARY + b"--\r\n"
    if rng.random() < 0.7:
        frame = min(len(body), 200)
        body = mutated(rng, body[:frame]) + body[frame:]
    if rng.random() < 0.3:
        body = body.replace(b"--" + _BOUNDARY, mutated(rng, b"--" + _BOUNDARY))
    if rng.random() < 0.2:
        body = _truncate(rng, body)
    content_type = f"multipart/form-data; boundary={_BOUNDARY.decode()}"
    if rng.random() < 0.2:
        content_type = _printable(mutated(rng, content_type.encode()))
    path = "/classify/batch" if is_batch else "/classify"
    return Case("form", request_bytes("POST", path, body, content_type))


def _parameters(rng: random.Random) -> Case:
    """A good photo with strange wishes."""
    names = ("top_k", "min_probability", "model", "version", "version_label", "x", "")
    query = "&".join(f"{rng.choice(names)}={_value(rng)}" for _ in range(rng.choice((1, 1, 2, 5))))
    # A deadline of a few milliseconds may rightly end in 504: none of those.
    headers = {
        "X_Request_Timeout_Ms": rng.choice(("0", "-1", "1e3", "x", "9" * 30, "60000", "86400001")),
        "X_Request_Id": _printable(rng.randbytes(rng.choice((0, 8, 64, 300)))),
        "traceparent": _printable(mutated(rng, b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")),
        "Accept": _printable(rng.randbytes(20)),
        "Content_Encoding": rng.choice(("gzip", "identity", "br")),
        "Authorization": _printable(rng.randbytes(30)),
        "X_Forwarded_For": rng.choice(("1.2.3.4", "::1", "x", ",,,", "127.0.0.1, 9.9.9.9")),
        "Expect": rng.choice(("100-continue", "x")),
        "Range": "bytes=0-1",
    }
    chosen = {name: headers[name] for name in rng.sample(sorted(headers), rng.choice((0, 1, 3)))}
    path = rng.choice(("/classify", "/classify", "/classify/batch")) + "?" + query
    data = rng.choice(seeds())
    return Case("parameters", request_bytes("POST", path, data, "image/jpeg", **chosen))


def _route(rng: random.Random) -> Case:
    """Paths and methods that exist, nearly."""
    paths = (
        "/", "/livez", "/readyz", "/metrics", "/stats", "/models", "/models/digits", "/docs",
        "/openapi.json", "/classify", "/classify/batch",
    )  # fmt: skip
    path = rng.choice(paths)
    if rng.random() < 0.7:
        path = "/" + _printable(mutated(rng, path.encode())).replace(" ", "%20")
    method = rng.choice(("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"))
    # HEAD is answered without the body that it announces.
    request = request_bytes("GET" if method == "HEAD" else method, path)
    return Case("route", request)


def _value(rng: random.Random) -> str:
    values = (
        "0", "-1", "1", "3", "1e9", "NaN", "inf", "9" * 40, "%00", "%ff%fe", "..%2f..%2f", "digits",
        "true", "%F0%9F%90%88", "a" * 300, "0x1", "1_000", " ", "",
    )  # fmt: skip
    return rng.choice(values).replace(" ", "%20")


def _printable(data: bytes) -> str:
    return "".join(chr(32 + byte % 95) for byte in data)


_MAKERS: tuple[Callable[[random.Random], Case], ...] = (
    _image, _image, _image, _image, _chunked, _form, _form, _parameters, _route,
)  # fmt: skip


_POST = b"POST /classify HTTP/1.1\r\nHost: gateway\r\nContent-Type: image/png\r\n"
_SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: gateway\r\nX: "
_AMBIGUOUS = (
    _POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + _SMUGGLED,
    _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + _SMUGGLED,
    _POST + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + _SMUGGLED,
    _POST + b"Content-Length: 0, 44\r\n\r\n" + _SMUGGLED,
    _POST + b"Content-Length: +4\r\n\r\n" + _SMUGGLED,
    _POST + b"Content-Length: 0x4\r\n\r\n" + _SMUGGLED,
    _POST + b"Content-Length: -1\r\n\r\n" + _SMUGGLED,
    _POST + b"Content-Length : 4\r\n\r\n" + _SMUGGLED,
    _POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + _SMUGGLED,
    _POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + _SMUGGLED,
    _POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + _SMUGGLED,
    _POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + _SMUGGLED,
    _POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + _SMUGGLED,
    _POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + _SMUGGLED,
    _POST + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n" + _SMUGGLED,
    _POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + _SMUGGLED,
    _POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n" + _SMUGGLED,
    _POST + b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n" + _SMUGGLED,
    _POST + b"X: a\0b\r\nContent-Length: 0\r\n\r\n" + _SMUGGLED,
    b"GET /livez HTTP/1.1\r\nHost: gateway\r\nHost: other\r\n\r\n" + _SMUGGLED,
    b"GET /livez HTTP/1.1\r\n\r\n" + _SMUGGLED,
    b"GET /livez HTTP/2.0\r\nHost: gateway\r\n\r\n" + _SMUGGLED,
    b"GET /livez HTTP/1.1 \r\nHost: gateway\r\n\r\n" + _SMUGGLED,
    b"GET /live z HTTP/1.1\r\nHost: gateway\r\n\r\n" + _SMUGGLED,
    b"GET /livez HTTP/1.1\r\nHost: gateway\r\n: empty\r\n\r\n" + _SMUGGLED,
    b"GET /livez HTTP/1.1\r\nHost: gateway\r\nno colon\r\n\r\n" + _SMUGGLED,
)
_ODD = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(100),
    b"GET /livez\r\n",
    b"GET http://other/livez HTTP/1.1\r\nHost: gateway\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: gateway\r\n\r\n",
    b"CONNECT other:443 HTTP/1.1\r\nHost: gateway\r\n\r\n",
    b"\r\n\r\nGET /livez HTTP/1.1\r\nHost: gateway\r\n\r\n",
    b"GET /livez HTTP/1.0\r\n\r\n",
    b"GET /%ff%fe%00 HTTP/1.1\r\nHost: gateway\r\n\r\n",
    _POST + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 1\r\n\r\nx",
    _POST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    _POST + b"Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n",
    *(b"GET /livez HTTP/1.1\r\nHost: gateway\r\n\r\n" * count for count in (2, 20)),
)


def _raw(rng: random.Random) -> Case:
    """Bytes on a connection: shapes that smuggle, odd ones, and both with changed bytes."""
    if rng.random() < 0.4:
        return Case("ambiguous", rng.choice(_AMBIGUOUS), is_http=False, is_ambiguous=True)
    data = rng.choice(_AMBIGUOUS + _ODD)
    if rng.random() < 0.8:
        data = mutated(rng, data)
    return Case("raw", data, is_http=False)
