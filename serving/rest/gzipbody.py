"""Compressed request bodies."""

from __future__ import annotations

import zlib

_MAX_BYTES = 100 * 1024 * 1024  # TensorFlow Serving's limit; also what stops a bomb
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def decompress(body: bytes) -> bytes:
    """The content of a gzip body; nothing for one that is broken, cut off or above 100 MB.

    TensorFlow Serving answers these as it answers an empty body.
    """
    stream = zlib.decompressobj(_GZIP_WINDOW)
    try:
        content = stream.decompress(body, _MAX_BYTES)
    except zlib.error:
        return b""
    return content if stream.eof else b""
