"""Base64 with the latitude of Abseil's decoder, which TensorFlow Serving uses.

Accepted beyond the standard: white space anywhere, no padding at all, "." as padding, and a NUL as
the end. Refused: the URL-safe alphabet, wrong padding, a single left-over character.
"""

from __future__ import annotations

import binascii
import re

_LENIENT = re.compile(rb"([A-Za-z0-9+/]*)\x00?([=.]*)")
_SPACE = b" \t\n\v\f\r"


def unescape(text: bytes) -> bytes | None:
    """The decoded bytes, or None where Abseil refuses."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return _unescape_leniently(text.translate(None, _SPACE))


def _unescape_leniently(text: bytes) -> bytes | None:
    match = _LENIENT.fullmatch(text)
    if match is None:
        return None
    data, padding = match.groups()
    missing = -len(data) % 4
    if missing == 3 or len(padding) not in {0, missing}:  # noqa: PLR2004 - six bits make no byte
        return None
    return binascii.a2b_base64(data + b"=" * missing)
